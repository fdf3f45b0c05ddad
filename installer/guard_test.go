package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// guarding is a guard that runs.
type guarding struct {
	pod   *pod
	cmd   *exec.Cmd
	log   *syncBuffer
	ended chan error
}

type syncBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *syncBuffer) Write(data []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(data)
}

func (b *syncBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

// guard starts the pod's guard and waits until it watches. plugins is where it has the plugin
// directory mounted.
func (p *pod) guard(plugins string, prepare ...func(*exec.Cmd)) *guarding {
	p.node.t.Helper()
	g := &guarding{pod: p, log: &syncBuffer{}, ended: make(chan error, 1)}
	g.cmd = p.command(append(p.flags("guard"), "--plugins="+plugins)...)
	g.cmd.Stderr = g.log
	for _, change := range prepare {
		change(g.cmd)
	}
	if err := g.cmd.Start(); err != nil {
		p.node.t.Fatal(err)
	}
	go func() { g.ended <- g.cmd.Wait() }()
	p.node.t.Cleanup(func() { _ = g.cmd.Process.Kill() })
	testkit.Until(p.node.t, "the guard waits for events", g.idle)
	return g
}

// asleep says that every thread of a process sleeps.
func asleep(pid int) bool {
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, path := range tasks {
		stat, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(stat), ") S ") {
			return false
		}
	}
	return true
}

// idle says that every thread of the guard sleeps, and that it listens for signals already.
func (g *guarding) idle() bool {
	if !asleep(g.cmd.Process.Pid) {
		return false
	}
	links, _ := filepath.Glob("/proc/" + strconv.Itoa(g.cmd.Process.Pid) + "/fd/*")
	for _, link := range links {
		if target, _ := os.Readlink(link); target == "anon_inode:inotify" || strings.Contains(g.log.String(), "no inotify") {
			return true
		}
	}
	return false
}

func (g *guarding) repairs() int {
	data, err := os.ReadFile(filepath.Join(g.pod.shared, "guard.json"))
	if err != nil {
		return 0
	}
	var book struct{ Repairs int }
	_ = json.Unmarshal(data, &book)
	return book.Repairs
}

func (g *guarding) wait() (code int, r report.Report) {
	g.pod.node.t.Helper()
	select {
	case err := <-g.ended:
		g.ended <- err
		return exitCode(g.pod.node.t, err), g.pod.report("guard")
	case <-time.After(testkit.Patience):
		g.pod.node.t.Fatalf("the guard did not end; log: %s", g.log)
	}
	return 0, report.Report{}
}

func TestTheGuardRepairsEveryDrift(t *testing.T) {
	t.Parallel()
	for name, drift := range drifts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
			want := p.mustInstall(p.file("0755", "jq", helper), p.file("0600", "conf", secret)).SHA256
			g := p.guard(n.plugins())
			// Twice: the watches must have moved to whatever is new.
			for round := 1; round <= 2; round++ {
				os.RemoveAll(n.root + "/moved")
				if err := drift(n); err != nil {
					t.Fatal(err)
				}
				testkit.UntilWithin(t, 2*time.Second, "the driver is whole again", func() bool { return n.whole(want) })
				testkit.Until(t, "the repair is counted", func() bool { return g.repairs() >= round })
			}
			if got := testkit.List(t, n.plugins()); got != "[example.com~nfs]" {
				t.Errorf("plugin directory holds %s", got)
			}
			if strings.Contains(g.log.String(), "cannot") {
				t.Errorf("log: %s", g.log)
			}
		})
	}
}

func TestTheGuardNeverShowsAPartialFile(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	content := testkit.GoodScript("1") + "#" + strings.Repeat("x", 200_000) + "\n"
	p := n.newPod("pod-1", "nfs", "r1", content)
	want := p.mustInstall().SHA256
	g := p.guard(n.plugins())
	for round := 1; round <= 5; round++ {
		if err := os.Remove(n.exec()); err != nil {
			t.Fatal(err)
		}
		testkit.Until(t, "a file is there", func() bool {
			data, err := os.ReadFile(n.exec())
			if err == nil && string(data) != content {
				t.Errorf("read %d bytes", len(data))
			}
			return err == nil
		})
		if !n.whole(want) {
			t.Error("what appeared is not whole")
		}
		testkit.Until(t, "the repair is counted", func() bool { return g.repairs() == round })
	}
}

func TestTheGuardReportsByExitingOnceDriftIsQuiet(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	want := p.mustInstall().SHA256
	g := p.guard(n.plugins())
	began := time.Now()
	for round := 1; round <= 3; round++ {
		if err := os.Remove(n.exec()); err != nil {
			t.Fatal(err)
		}
		testkit.Until(t, "repaired", func() bool { return g.repairs() == round })
	}
	code, r := g.wait()
	if lasted := time.Since(began); lasted < 5*time.Second {
		t.Errorf("ended after %s", lasted)
	}
	if code != 0 || r.Result != report.Installed || r.Component != report.Guard || r.Repairs != 3 || r.LastRepair == "" ||
		r.Serving != (report.Serving{Revision: "r1", SHA256: want}) || r.Path != n.pluginDir+"/example.com~nfs/nfs" {
		t.Errorf("ended with %d, %+v", code, r)
	}
	// Restarted, it counts on and knows when it reported, which is what keeps it from ending again.
	g = p.guard(n.plugins())
	if err := os.Remove(n.exec()); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "repaired", func() bool { return g.repairs() == 4 })
	if book := testkit.Read(t, filepath.Join(p.shared, "guard.json")); !strings.Contains(book, `"reported":3,"lastReport":"20`) {
		t.Errorf("%s", book)
	}
}

func TestTheGuardStandsDownForAnotherInstallationAndResumes(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	want := p.mustInstall().SHA256
	g := p.guard(n.plugins())
	other := n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2")).mustInstall()
	testkit.Until(t, "the guard stands down", func() bool { return strings.Contains(g.log.String(), "standing down") })
	if err := os.Chmod(n.exec(), 0o700); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the guard has looked and waits", func() bool { return g.idle() })
	if sum(t, n.exec()) != other.SHA256 || g.repairs() != 0 {
		t.Errorf("the guard took the place back; log %s", g.log)
	}
	if got := strings.Count(g.log.String(), "standing down"); got != 1 {
		t.Errorf("said so %d times", got)
	}
	if err := os.Remove(filepath.Join(n.dir(), record.Name)); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the guard resumes", func() bool { return n.whole(want) })
}

func TestTheGuardEndsOnSIGTERMAndRemovesNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	want := p.mustInstall().SHA256
	g := p.guard(n.plugins())
	began := time.Now()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, r := g.wait(); code != 0 || r.Result != report.Installed {
		t.Errorf("ended with %d, %+v", code, r)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %s", took)
	}
	if !n.whole(want) {
		t.Error("the driver is not whole")
	}
}

func TestTheGuardWithoutInotifyLooksAtIntervals(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	want := p.mustInstall().SHA256
	g := p.guard(n.plugins(), withoutInotify)
	if !strings.Contains(g.log.String(), "no inotify") {
		t.Fatalf("log: %s", g.log)
	}
	if err := os.Remove(n.exec()); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "repaired", func() bool { return n.whole(want) })
}

func TestTheGuardDoesNotFightAtFullSpeed(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.mustInstall()
	g := p.guard(n.plugins())
	began := time.Now()
	for time.Since(began) < 2*time.Second {
		if err := os.WriteFile(n.exec(), []byte("theirs"), 0o755); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if got := g.repairs(); got < 3 || got > 11 {
		t.Errorf("%d repairs in 2 s", got)
	}
	if lines := strings.Count(g.log.String(), "\n"); lines > 4 {
		t.Errorf("%d lines of log", lines)
	}
}

func TestAGuardWithoutAPayloadOfItsPodIsTheInstallersFault(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	run := func(more ...string) (int, report.Report) {
		cmd := p.command(append(p.flags("guard"), append(more, "--plugins="+n.plugins())...)...)
		return exitCode(t, cmd.Run()), p.report("guard")
	}
	want := func(what string, more ...string) {
		t.Helper()
		if code, r := run(more...); code != exitInternal || r.Reason != report.InternalError || !strings.Contains(r.Message, what) {
			t.Errorf("ended with %d, %+v, want %s", code, r, what)
		}
	}
	want("install has not run")
	p.mustInstall()
	want(`not "pod-2"`, "--install-id=pod-2")
	p.mustInstall(p.file("0644", "conf", "1"))
	testkit.Write(t, filepath.Join(p.shared, "payload", "files", "conf"), "x")
	want("conf has sha256")
	testkit.Write(t, filepath.Join(p.shared, "payload", "driver"), "x")
	want("damaged")
}

func TestAGuardThatCannotRepairReportsWhy(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.mustInstall()
	mounted := t.TempDir()
	testkit.Bind(t, n.plugins(), mounted, syscall.MS_RDONLY)
	g := p.guard(mounted)
	if err := os.Remove(n.exec()); err != nil {
		t.Fatal(err)
	}
	code, r := g.wait()
	if code != 0 || r.Result != report.Failed || r.Reason != report.PluginDirReadOnly || r.Repairs != 0 {
		t.Errorf("ended with %d, %+v", code, r)
	}
}
