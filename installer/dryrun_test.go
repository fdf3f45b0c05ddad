package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

func TestADryRunProvesAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, around := range surroundings {
		if len(around.flags) > 0 { // policy Skip, with which there is none
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.makeDir("/var/lib")
			around.prepare(n)
			kubelet := newKubelet(t, n.plugins())
			p := n.newPod("pod-1", "nfs", "r1", withHelper("1"))
			out := p.install("--dry-run", p.file("0755", "jq", helper))
			if out.code != 0 || out.Result != report.WouldInstall || out.Capabilities == nil || out.Changed ||
				out.SHA256 == "" || out.Serving != (report.Serving{}) || out.ForeignCount != 0 {
				t.Errorf("ended with %d, %+v", out.code, out.Report)
			}
			if !strings.Contains(out.stderr, "would install") {
				t.Errorf("log %q", out.stderr)
			}
			if got := testkit.List(t, p.shared); got != "[install.report sources]" {
				t.Errorf("left for the guard: %s", got)
			}
			kubelet.wantSeen()
			n.nothingLeft("[]")
			n.nothingElsewhere()
		})
	}
}

func TestADryRunFailsForWhatAnInstallationWouldFailFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		driver, there string
		flags         []string
		reason        report.Reason // "" for WouldInstall
	}{
		"a driver that hangs":       {testkit.Script("sleep 1000"), "", []string{"--timeout=1s"}, report.InitTimeout},
		"one that changes itself":   {testkit.Script("echo '#' >> $0\n" + testkit.GoodReply), "", nil, report.InitFailed},
		"another driver":            {testkit.GoodScript("1"), "theirs", nil, report.ForeignDriverPresent},
		"another driver, Always":    {testkit.GoodScript("1"), "theirs", []string{always, "--turn=/none"}, ""},
		"the same driver, Never":    {testkit.GoodScript("1"), testkit.GoodScript("1"), []string{"--adoption-policy=Never"}, report.ForeignDriverPresent},
		"no directory, and no list": {testkit.GoodScript("1"), "", []string{"--plugin-dir=/opt/none"}, report.PluginDirNotFound},
	} {
		n := newNode(t)
		if test.there != "" {
			testkit.Write(t, n.exec(), test.there)
		}
		before := n.treeOf(n.plugins())
		out := n.newPod("pod-1", "nfs", "r1", test.driver).install(append(test.flags, "--dry-run")...)
		if test.reason != "" {
			out.wantFailure(t, test.reason)
		} else if out.Result != report.WouldInstall || out.Waits {
			t.Errorf("%s: %+v", name, out.Report)
		}
		if test.there != "" && (len(out.Foreign) != 1 || out.Foreign[0].Name != "example.com/nfs" || out.Foreign[0].SHA256 != out.Serving.SHA256) {
			t.Errorf("%s: foreign %+v", name, out.Foreign)
		}
		if n.treeOf(n.plugins()) != before {
			t.Errorf("%s: the plugin directory is not as it was", name)
		}
	}
}

func TestADryRunListsDriversOfOthersWithTheirVerdict(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall() // ours: not listed
	put := func(name, content string) { testkit.Write(t, n.plugins()+"/"+name, content) }
	put("a~good/good", testkit.GoodScript("1"))
	put("b~bad/bad", testkit.Script("echo '"+testkit.NullCaps+"'"))
	put("c~missing/conf", "")
	put("d~loader/loader", "#!/usr/bin/python9\n")
	must(os.Symlink("/etc", n.plugins()+"/e~link"))
	put("plain/plain", "no vendor")
	put("~none/none", "")
	put(".hidden~x/x", "")
	p := n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2"))
	before := n.treeOf(n.plugins())
	list := func(foreign []report.Foreign) (list []string) {
		for _, one := range foreign {
			list = append(list, one.Name+" "+one.Init)
			if len(one.SHA256) != 64 && !strings.HasSuffix(one.Init, "InitNotExecutable") {
				t.Errorf("sha256 of %+v", one)
			}
		}
		return list
	}
	out := p.install("--dry-run")
	want := []string{"a/good Success", "b/bad InitWouldCrashKubelet", "c/missing InitNotExecutable", "d/loader MissingInterpreter", "e/link InitNotExecutable"}
	if got := list(out.Foreign); !slices.Equal(got, want) || out.ForeignCount != 5 || out.Result != report.WouldInstall {
		t.Errorf("%q of %d, %+v", got, out.ForeignCount, out.Report)
	}
	if n.treeOf(n.plugins()) != before {
		t.Error("the plugin directory is not as it was")
	}
	for i := range 10 {
		put(fmt.Sprintf("c~more%d/more%d", i, i), testkit.GoodScript("1"))
	}
	if out := p.install("--dry-run"); len(out.Foreign) != 6 || out.ForeignCount != 15 || out.Foreign[5].Name != "c/more2" {
		t.Errorf("%q of %d", list(out.Foreign), out.ForeignCount)
	}
}

func TestADryRunThatEndsRunsNoMoreDriversOfOthers(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, name := range []string{"a", "b"} {
		testkit.Write(t, n.plugins()+"/v~"+name+"/"+name, testkit.Script("echo on > /tmp/"+name+"\nsleep 1000"))
	}
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	cmd := p.command(append(p.installFlags(), "--dry-run")...)
	must(cmd.Start())
	testkit.Until(t, "the first init runs", func() bool { _, err := os.Stat(n.root + "/tmp/a"); return err == nil })
	must(cmd.Process.Signal(syscall.SIGTERM))
	exitCode(t, cmd.Wait())
	r := p.report("install")
	if len(r.Foreign) != 2 || r.Foreign[1].Init != "NotRun" {
		t.Errorf("report %+v", r)
	}
	if _, err := os.Stat(n.root + "/tmp/b"); err == nil {
		t.Error("the second init ran")
	}
}

func TestAnIdleGuardNeedsNothingAndEndsOnSIGTERM(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	cmd := p.command("guard", "--idle", "--report="+p.shared+"/guard.report")
	log := &syncBuffer{}
	cmd.Stderr = log
	must(cmd.Start())
	testkit.Until(t, "it waits, asleep", func() bool {
		return strings.Contains(log.String(), "waits") && asleep(cmd.Process.Pid)
	})
	began := time.Now()
	must(cmd.Process.Signal(syscall.SIGTERM))
	if code := exitCode(t, cmd.Wait()); code != 0 || time.Since(began) > time.Second {
		t.Errorf("ended with %d after %s", code, time.Since(began))
	}
	if r := p.report("guard"); r.Result != report.WouldInstall || r.Component != report.Guard || !strings.Contains(log.String(), "nothing to guard") {
		t.Errorf("report %+v, log %q", r, log)
	}
	n.nothingLeft("[]")
}
