package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

func TestWhatANodeLacksIsNamedBeforeInitRuns(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Write(t, n.root+"/proc/modules", "nbd 57344 0 - Live 0x0\n")
	ran := n.root + "/tmp/ran"
	p := n.newPod("pod-1", "nfs", "r1", testkit.Script("echo > /tmp/ran\n"+testkit.GoodReply))
	here := []string{"--require-command=cat", "--require-command=/bin/sh", "--require-module=nbd", "--require-path=/etc"}
	for _, test := range []struct {
		flags  []string
		reason report.Reason
		words  []string
	}{
		{[]string{"--require-command=jq", "--require-module=rbd", "--require-path=/run/x.sock", "--require-command=tc"},
			report.MissingHostCommand, []string{"no command jq, tc in PATH /usr/local/sbin:", "no module rbd for", "no /run/x.sock"}},
		{[]string{"--require-module=rbd"}, report.MissingKernelModule, []string{"no module rbd for its kernel "}},
		{[]string{"--require-path=/run/x.sock"}, report.MissingHostPath, []string{"no /run/x.sock"}},
	} {
		for _, policy := range []string{"Enforce", "Warn"} {
			flags := slices.Concat(here, test.flags, []string{"--verify=" + policy})
			p.install(flags...).wantFailure(t, test.reason, test.words...)
		}
	}
	if _, err := os.Stat(ran); !os.IsNotExist(err) {
		t.Error("init ran")
	}
	n.nothingLeft("[]")
	p.mustInstall(here...)
}

func TestTheKubeletsOwnPathCounts(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Write(t, n.root+"/opt/bin/tool", "#!/bin/sh\necho '"+testkit.Good+"'\n")
	driver := "#!/bin/env tool\n"
	n.newPod("pod-1", "nfs", "r1", driver).install().wantFailure(t, report.MissingInterpreter, "/usr/local/sbin")
	testkit.Process(t, n.root, 7, "/system.slice/kubelet.service", "kubelet")
	testkit.Write(t, n.root+"/proc/7/environ", "PATH=/opt/bin:/bin\x00")
	n.newPod("pod-2", "nfs", "r1", driver).mustInstall("--require-command=tool")
	n.newPod("pod-3", "nfs", "r1", driver).install("--require-command=jq").
		wantFailure(t, report.MissingHostCommand, "no command jq in PATH /opt/bin:/bin")
}

// hungry takes memory until it is stopped.
const hungry = "a=0123456789abcdef; while :; do a=$a$a; done"

func TestAnInitThatOurMemoryLimitKilledIsTold(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"init itself":   hungry,
		"a child of it": "(" + hungry + ")\necho '" + testkit.Failure + "'",
	} {
		group := testkit.MemoryGroup(t, 64<<20)
		n := newNode(t)
		p := n.newPod("pod-1", "nfs", "r1", testkit.Script(body))
		p.env = append(p.env, joinGroup+group)
		t.Logf("%s", name)
		p.install().wantFailure(t, report.InitOOMKilled, "memory limit", "killed")
		n.nothingLeft("[]")
	}
}

func TestAKilledInitWithMemoryLeftJustFailed(t *testing.T) {
	t.Parallel()
	group := testkit.MemoryGroup(t, 64<<20)
	p := newNode(t).newPod("pod-1", "nfs", "r1", testkit.Script("kill -KILL $$"))
	p.env = append(p.env, joinGroup+group)
	p.install().wantFailure(t, report.InitInvalidOutput, "printed nothing and ended with signal: killed")
}

func TestAKillThatInitGetsOverIsNoFailure(t *testing.T) {
	t.Parallel()
	group := testkit.MemoryGroup(t, 64<<20)
	p := newNode(t).newPod("pod-1", "nfs", "r1", testkit.Script("exec 2>/dev/null; ("+hungry+")\n"+testkit.GoodReply))
	p.env = append(p.env, joinGroup+group)
	p.mustInstall()
}

func TestWarnPublishesWhatOnlyOurSurroundingsMayHaveFailed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		driver string
		reason report.Reason
		words  string
	}{
		{testkit.Script("echo '" + testkit.Failure + "'"), report.InitFailed, "no disk"},
		{testkit.Script(testkit.GoodReply + "; exit 3"), report.InitFailed, "exit status 3"},
		{testkit.Script("echo 'mount: permission denied' >&2\n" + testkit.GoodReply), report.InitInvalidOutput, "permission denied"},
		{testkit.Script("exit 1"), report.InitInvalidOutput, "exit status 1"},
	} {
		n := newNode(t)
		out := n.newPod("pod-1", "nfs", "r1", test.driver).mustInstall("--verify=Warn")
		if len(out.Warnings) != 1 || out.Warnings[0].Reason != report.Unverified || out.Capabilities != nil {
			t.Fatalf("%+v", out.Report)
		}
		for _, word := range []string{string(test.reason) + ": ", test.words, "policy is Warn", "14 to 20 times"} {
			if message := out.Warnings[0].Message; !strings.Contains(message, word) {
				t.Errorf("%q does not say %q", message, word)
			}
		}
		n.nothingLeft("[example.com~nfs]")
	}
}

func TestWarnNeverPublishesWhatWouldHurtANode(t *testing.T) {
	t.Parallel()
	for driver, reason := range map[string]report.Reason{
		testkit.Script("sleep 1000"):                                                report.InitTimeout,
		testkit.Script("sleep 1000 &\n" + testkit.GoodReply):                        report.InitTimeout,
		testkit.Script("echo '" + testkit.NullCaps + "'"):                           report.InitWouldCrashKubelet,
		testkit.Script("echo oops >&2; echo '" + testkit.NullCaps + "'"):            report.InitInvalidOutput,
		testkit.Script("echo '" + testkit.NullCaps + "'; exit 1"):                   report.InitFailed,
		testkit.Script(`echo '{"status":"Failure","Capabilities":null}'`):           report.InitFailed,
		testkit.Script(`echo '{"status":"Success","capabilities":[]}'`):             report.InitInvalidOutput,
		testkit.Script(`echo '{"status":"Not supported"}'`):                         report.InitNotSupported,
		testkit.Script("while echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do :; done"): report.InitInvalidOutput,
		testkit.Script("echo '# more' >> $0\n" + testkit.GoodReply):                 report.InitFailed,
		"#!/bin/none\n": report.MissingInterpreter,
		"":              report.InitNotExecutable,
	} {
		n := newNode(t)
		n.newPod("pod-1", "nfs", "r1", driver).install("--verify=Warn", "--timeout=1s").wantFailure(t, reason)
		n.nothingLeft("[]")
	}
}

func TestWhatWillHurtIsWarnedOf(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string][]string{
		`echo '{"status":"Success","capabilities":{"attach":false}}'`:             nil,
		`echo '{"status":"Success","capabilities":{"attach":true}}'`:              {report.AttachTrue},
		`echo '{"status":"Success","capabilities":{"fsGroup":false}}'`:            {report.AttachMissing},
		`echo '{"status":"Success"}'`:                                             {report.AttachMissing},
		`sleep 2.1; echo '{"status":"Success"}'`:                                  {report.AttachMissing, report.SlowInit},
		`sleep 2.1 & echo '{"status":"Success","capabilities":{"attach":false}}'`: {report.SlowInit}, // a kubelet waits, too
	} {
		out := newNode(t).newPod("pod-1", "nfs", "r1", testkit.Script(answer)).install()
		var got []string
		for _, warning := range out.Warnings {
			got = append(got, warning.Reason)
			if warning.Reason == report.SlowInit && !strings.HasPrefix(warning.Message, "init took 2.") {
				t.Errorf("%q", warning.Message)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", answer, got, want)
		}
	}
}
