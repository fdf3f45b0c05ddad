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
	for command, flag := range map[string]string{"install": "--role=PROGRAM", "guard": "--plugins=DIRECTORY", "remove": "--flexdriver-uid=UID", "tools": "DEST"} {
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
		"unknown policy":              {"", "--verify=Maybe", "--verify=Maybe: must be Enforce, Warn or Skip"},
		"a relative command":          {"", "--require-command=bin/jq", `"bin/jq" for flag --require-command: must be a name`},
		"no command":                  {"", "--require-command=", "--require-command: must be a name"},
		"a module with a slash":       {"", "--require-module=fs/nfs", "--require-module: must be letters"},
		"a relative path":             {"", "--require-path=run/x.sock", "--require-path: must be an absolute path"},
		"unknown role":                {"", "--role=kube-controller-manager", "must be kubelet or controller-manager"},
		"no role":                     {"", "--role=", "--role=: must be"},
		"force that is no yes or no":  {"", "--force-plugin-dir=perhaps", "--force-plugin-dir"},
		"timeout not a length":        {"", "--timeout=30", "--timeout"},
		"timeout not positive":        {"", "--timeout=-1s", "--timeout=-1s"},
		"unknown adoption":            {"", "--adoption-policy=Sometimes", "must be IfIdentical, Always or Never"},
		"settle not a length":         {"", "--settle=-1s", "--settle=-1s: must not be"},
		"file without a source":       {"", "--file=0755,jq", "no absolute path"},
		"file with a bad mode":        {"", "--file=4755,jq,/jq", "at most 0777"},
		"file with a short mode":      {"", "--file=755,jq,/jq", "four octal digits"},
		"file that leads out":         {"", "--file=0755,../jq,/jq", `"../jq" is no name`},
		"file that hides":             {"", "--file=0755,.flexvolume.json,/jq", "is no name of a file"},
		"file like the driver":        {"", "--file=0755,nfs,/jq", `already a file "nfs"`},
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

func TestRequirementsNeedTheNodesRoot(t *testing.T) {
	p := newNode(t).newPod("pod-a", "nfs", "r1", testkit.GoodScript("1"))
	for _, flag := range []string{"--require-command=sh", "--require-module=nbd", "--require-path=/etc"} {
		code, _, stderr := invoke(append(p.installFlags(), "--verify=Skip", flag)...)
		if code != exitUsage || !strings.Contains(stderr, "which --verify=Skip has not") {
			t.Errorf("%s: code %d, stderr %q", flag, code, stderr)
		}
	}
}

func TestWhatSkipCannotDoIsRefused(t *testing.T) {
	p := newNode(t).newPod("pod-a", "nfs", "r1", testkit.GoodScript("1"))
	for _, flag := range []string{"--dry-run", "--adoption-policy=Always"} {
		if code, _, stderr := invoke(append(p.installFlags(), "--verify=Skip", flag)...); code != exitUsage || !strings.Contains(stderr, flag) {
			t.Errorf("%s: %d %q", flag, code, stderr)
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
	for _, args := range [][]string{{}, {"remove"}, {"uninstall"}, {"tools"}, {"tools", "a", "b"}} {
		if code, _, stderr := invoke(args...); code != exitUsage || stderr == "" {
			t.Errorf("%v: %d %q", args, code, stderr)
		}
	}
	if code, _, stderr := invoke("tools", "/nowhere/installer"); code != exitInternal || !strings.Contains(stderr, "/nowhere") {
		t.Errorf("tools: %d %q", code, stderr)
	}
}
