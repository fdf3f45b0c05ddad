package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

func invoke(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

func TestHelpListsCommandsAndFlags(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help"}, {"-h"}} {
		if code, stdout, _ := invoke(args...); code != exitDone || !strings.Contains(stdout, "install ") {
			t.Errorf("%v: %d %q", args, code, stdout)
		}
	}
	for command, flag := range map[string]string{"install": "--rival=NAME", "guard": "--plugins=DIRECTORY", "tools": "DEST"} {
		if code, stdout, _ := invoke(command, "--help"); code != exitDone || !strings.Contains(stdout, flag) {
			t.Errorf("%s --help: %d %q", command, code, stdout)
		}
	}
	if code, stdout, _ := invoke("version"); code != exitDone || !strings.HasPrefix(stdout, "flexvolume-installer ") {
		t.Errorf("version: %d %q", code, stdout)
	}
}

func TestWrongUsageExitsWith2AndNamesTheFlag(t *testing.T) {
	n := newNode(t)
	p := n.newPod("pod-a", "nfs", "r1", testkit.GoodScript("1"))
	path := testkit.Write(t, filepath.Join(p.shared, "install.report"), "")
	for name, test := range map[string]struct {
		replace, with, want string
	}{
		"unknown flag":                {"", "--colour=red", "--colour"},
		"missing flag":                {"--vendor=" + vendor, "", "--vendor is missing"},
		"vendor with a slash":         {"--vendor=" + vendor, "--vendor=a/b", "--vendor=a/b"},
		"vendor in capitals":          {"--vendor=" + vendor, "--vendor=Example.com", "--vendor=Example.com: must be lower-case"},
		"driver leads out":            {"--driver=" + driver, "--driver=..", "--driver=.."},
		"driver with a tilde":         {"--driver=" + driver, "--driver=a~b", "--driver=a~b"},
		"relative plugin dir":         {"--plugin-dir=" + n.pluginDir, "--plugin-dir=exec", "--plugin-dir=exec: must be an absolute path"},
		"plugin dir is /":             {"--plugin-dir=" + n.pluginDir, "--plugin-dir=/..", "--plugin-dir=/.."},
		"install id leads out":        {"--install-id=" + p.id, "--install-id=../x", "--install-id=../x"},
		"unknown policy":              {"", "--verify=Warn", "--verify=Warn: must be Enforce or Skip"},
		"timeout not a length":        {"", "--timeout=30", "--timeout"},
		"timeout not positive":        {"", "--timeout=-1s", "--timeout=-1s"},
		"an argument that is no flag": {"", "extra", `"extra"`},
	} {
		args := slices.DeleteFunc(p.installFlags(), func(flag string) bool { return flag == test.replace })
		if test.with != "" {
			args = append(args, test.with)
		}
		code, _, stderr := invoke(args...)
		if code != exitUsage || !strings.Contains(stderr, test.want) || !strings.Contains(stderr, "--help") {
			t.Errorf("%s: %d %q", name, code, stderr)
		}
		// A flag that cannot be read hides those after it, --report too.
		if r := readReport(t, path); r.Reason != report.InternalError || !strings.Contains(r.Message, test.want) {
			t.Errorf("%s: report %+v", name, r)
		}
	}
}

func TestWrongUsageOutsideAPodLeavesNoReport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report")
	if code, _, _ := invoke("guard", "--report="+path); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	if got := testkit.List(t, filepath.Dir(path)); got != "[]" {
		t.Errorf("made %s", got)
	}
}

func TestCommandsThatAreNoneAndToolsWithoutADestinationExitWith2(t *testing.T) {
	for _, args := range [][]string{{}, {"remove"}, {"tools"}, {"tools", "a", "b"}} {
		if code, _, stderr := invoke(args...); code != exitUsage || stderr == "" {
			t.Errorf("%v: %d %q", args, code, stderr)
		}
	}
	if code, _, stderr := invoke("tools", "/nowhere/installer"); code != exitInternal || !strings.Contains(stderr, "/nowhere") {
		t.Errorf("tools: %d %q", code, stderr)
	}
}
