//go:build amd64

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// crash is a run that is killed at each of its steps, and what was on the node before.
type crash struct {
	before  string   // version that served before, "" for none
	foreign bool     // which was not ours
	files   []string // beside it before: "name=content"
	after   []string // beside version 2
	flags   []string
	prepare func(n *node)
}

var crashes = map[string]crash{
	"upgrade beside the plugin directory":       {before: "1"},
	"same content":                              {before: "2"},
	"upgrade inside the plugin directory":       {before: "1", flags: []string{"--verify=Skip"}},
	"first install beside the plugin directory": {after: []string{"jq=1", "conf=2"}},
	"upgrade of files":                          {before: "1", files: []string{"jq=1", "conf=1", "old=1"}, after: []string{"jq=1", "conf=2", "new=2"}},
	"first install inside the plugin directory": {after: []string{"jq=1", "conf=2"}, flags: []string{"--verify=Skip"}},
	"upgrade of files tried elsewhere": {
		before: "1", files: []string{"conf=1", "old=1"}, after: []string{"conf=2", "new=2"},
		prepare: func(n *node) { n.mountPlugins(syscall.MS_RDONLY | syscall.MS_NOEXEC) },
	},
	"adoption with a copy": {before: "1", foreign: true, files: []string{"conf=1"}, after: []string{"conf=2", "new=2"}, flags: []string{always}},
	"adoption as it is":    {before: "2", foreign: true, files: []string{"conf=2"}, after: []string{"conf=2"}},
}

func TestKilledBeforeAnyChangeTheNextRunConverges(t *testing.T) {
	for name, test := range crashes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			points := 0
			for killed := true; killed; points++ {
				at := fmt.Sprintf("before change %d", points+1)
				t.Run(at, func(t *testing.T) { killed = test.at(t, points+1) })
			}
			t.Logf("%d crash points", points-1)
			if points < 11 {
				t.Errorf("only %d crash points were found", points-1)
			}
		})
	}
}

// at kills one run at its nth change, looks at what a kubelet would find, and runs again.
func (c crash) at(t *testing.T, nth int) (killed bool) {
	t.Helper()
	n := newNode(t)
	if c.prepare != nil {
		c.prepare(n)
	}
	c.put(n)
	p := n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2"))
	killed, err := runKilled(append(p.installFlags(), c.allFlags(p, c.after)...), nth)
	if err != nil {
		t.Fatal(err)
	}
	c.wantWhole(n)
	after := c.after
	switch nth % 4 { // what happens next
	case 0: // the pod is replaced
		p = n.newPod("pod-3", "nfs", "r2", testkit.GoodScript("2"))
	case 1: // other content is wanted, in which some files have no place
		p = n.newPod("pod-3", "nfs", "r3", testkit.GoodScript("3"))
		after = slices.DeleteFunc(append(slices.Clone(c.after), "conf=3"), func(file string) bool { return strings.HasSuffix(file, "=2") })
	case 2: // it fails
		bad := n.newPod("pod-3", "nfs", "r3", testkit.Script("exit 1"))
		if out := bad.install(append(bad.fileFlags(c.after), always)...); out.Reason != report.InitInvalidOutput {
			t.Errorf("the run that was to fail: %+v", out.Report)
		}
		c.wantWhole(n)
		if _, err := os.Stat(n.exec()); err != nil && testkit.List(t, n.plugins()) != "[]" {
			t.Errorf("a directory without an executable: %v", err)
		}
	}
	flags := c.allFlags(p, after)
	if c.foreign { // which is in the way of other content
		flags = append(flags, always)
	}
	out := p.mustInstall(flags...)
	r := n.record()
	if r.InstallID != p.id || r.SHA256 != out.SHA256 || sum(t, n.exec()) != out.SHA256 || len(r.Leaving) > 0 {
		t.Errorf("after the next run %+v", r)
	}
	var names []string
	for _, file := range after {
		name, content, _ := strings.Cut(file, "=")
		names = append(names, "0640 "+name)
		if got := testkit.Read(t, n.beside(name)); got != content {
			t.Errorf("%s holds %q, want %q", name, got, content)
		}
	}
	n.wantFiles(names...)
	n.nothingLeft("[example.com~nfs]")
	n.nothingElsewhere()
	return killed
}

// put makes what was on the node before.
func (c crash) put(n *node) {
	n.t.Helper()
	switch {
	case c.foreign:
		testkit.Write(n.t, n.exec(), testkit.GoodScript(c.before))
		for _, file := range c.files {
			name, content, _ := strings.Cut(file, "=")
			testkit.Write(n.t, n.beside(name), content)
		}
	case c.before != "":
		p := n.newPod("pod-1", "nfs", "r"+c.before, testkit.GoodScript(c.before))
		p.mustInstall(c.allFlags(p, c.files)...)
	}
}

func (c crash) allFlags(p *pod, files []string) []string {
	return append(p.fileFlags(files), c.flags...)
}

// fileFlags are those for files given as "name=content".
func (p *pod) fileFlags(files []string) []string {
	p.node.t.Helper()
	var flags []string
	for _, file := range files {
		name, content, _ := strings.Cut(file, "=")
		flags = append(flags, p.file("0640", name, content))
	}
	return flags
}

// wantWhole checks that a kubelet finds whole files only, the executable among them if it was there,
// and that nothing of others is gone without a copy.
func (c crash) wantWhole(n *node) {
	n.t.Helper()
	exec, err := os.ReadFile(n.exec())
	if os.IsNotExist(err) && c.before == "" {
		return
	}
	must(err)
	info, err := os.Stat(n.exec())
	must(err)
	old := testkit.GoodScript(c.before)
	if now := string(exec); info.Mode() != 0o755 || now != testkit.GoodScript("2") && (now != old || c.before == "") {
		n.t.Errorf("an executable of %d bytes, mode %v", len(now), info.Mode())
	}
	if c.foreign && string(exec) != old && testkit.Read(n.t, filepath.Join(filepath.Dir(n.plugins()), kept(n.t, driver, old))) != old {
		n.t.Error("the copy of the foreign driver is not whole")
	}
	entries, err := os.ReadDir(n.dir())
	must(err)
	for _, entry := range entries {
		if name := entry.Name(); name != driver && name != record.Name {
			if content := testkit.Read(n.t, n.beside(name)); content != "1" && content != "2" {
				n.t.Errorf("%s holds %q", name, content)
			}
		}
	}
}

func TestARemovalKilledBeforeAnyChangeIsFinishedByTheNextRun(t *testing.T) {
	t.Parallel()
	points := 0
	for nth := 1; ; nth++ {
		n := installed(t)
		n.alsoPublished([]string{"conf"}, []string{"old"})
		want := sum(t, n.exec())
		testkit.Write(t, filepath.Join(n.dir(), "driver.log"), "log")
		killed, err := runKilled(n.removal("nfs").removeFlags(), nth)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(n.exec()); err == nil && (sum(t, n.exec()) != want || info.Mode() != 0o755) {
			t.Errorf("killed before change %d: an executable that is not whole", nth)
		}
		n.removal("other").remove() // in between, another FlexDriver's removal
		out := n.removal("nfs").remove()
		if _, err := os.Lstat(n.dir()); !os.IsNotExist(err) || out.code != exitDone || out.Result != report.Removed {
			t.Errorf("killed before change %d, then %+v, %v", nth, out.Report, err)
		}
		if got := testkit.List(t, n.plugins()); got != "[]" || n.kept()["driver.log"] != "log" {
			t.Errorf("killed before change %d: left %s, kept %v", nth, got, n.kept())
		}
		if !killed {
			break
		}
		points++
	}
	t.Logf("%d crash points", points)
	if points < 10 {
		t.Errorf("only %d crash points were found", points)
	}
}
