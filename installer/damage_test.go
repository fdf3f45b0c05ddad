package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

const page = 4096

// onSmallDisk puts the plugin directory and what is beside it on a file system of their own.
func (n *node) onSmallDisk() (disk string) {
	n.t.Helper()
	disk = filepath.Dir(n.plugins())
	testkit.Mount(n.t, "tmpfs", disk, "tmpfs", 0)
	must(os.Mkdir(n.plugins(), 0o755))
	return disk
}

func TestAFullDiskLeavesTheOldVersionAndNoStage(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"pages", "inodes"} {
		for _, flags := range [][]string{nil, {"--verify=Skip"}} {
			t.Run(limit+strings.Join(flags, ""), func(t *testing.T) {
				t.Parallel()
				n := newNode(t)
				disk := n.onSmallDisk()
				p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
				old := p.mustInstall(append(p.fileFlags([]string{"conf=1"}), flags...)...)
				p = n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2")+strings.Repeat("#", 3*page))
				flags = append(p.fileFlags([]string{"conf=" + strings.Repeat("2", 2*page), "new=2"}), flags...)
				failures := 0
				for free := 0; ; free++ {
					leave(t, disk, limit, free)
					out := p.install(flags...)
					if out.Result == report.Installed {
						break
					}
					failures++
					out.wantFailure(t, report.NoSpace, "no space left")
					if out.Serving != old.Serving || testkit.Read(t, n.beside("conf")) != "1" || n.record().InstallID != "pod-1" {
						t.Errorf("%d free: serving %+v, record %+v", free, out.Serving, n.record())
					}
					n.wantFiles("0640 conf")
					n.nothingLeft("[example.com~nfs]")
				}
				if failures < 3 {
					t.Errorf("only %d failures", failures)
				}
				n.wantFiles("0640 conf", "0640 new")
				n.nothingLeft("[example.com~nfs]")
			})
		}
	}
}

// leave lets a tmpfs have so many free pages or inodes.
func leave(t *testing.T, disk, limit string, free int) {
	t.Helper()
	var now syscall.Statfs_t
	must(syscall.Statfs(disk, &now))
	size := fmt.Sprintf("size=%d", (int(now.Blocks-now.Bfree)+free)*page)
	if limit == "inodes" {
		size = fmt.Sprintf("nr_inodes=%d", int(now.Files-now.Ffree)+free)
	}
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT, size); err != nil {
		t.Fatalf("%s: %v", size, err)
	}
}

// waiting is a driver whose init runs until /tmp/go is there.
var waiting = testkit.Script("echo on > /tmp/running\nwhile ! [ -e /tmp/go ]; do sleep 0.02; done\n" + testkit.GoodReply)

func TestWhatIsDeletedWhileInitRuns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before bool // a version serves already
		delete func(n *node) error
		reason report.Reason // "" when it is installed all the same
	}{
		"the plugin directory":              {false, func(n *node) error { return os.RemoveAll(n.plugins()) }, report.PublishFailed},
		"the plugin directory of a version": {true, func(n *node) error { return os.RemoveAll(n.plugins()) }, report.PublishFailed},
		"the plugin directory, made anew":   {true, func(n *node) error { must(os.RemoveAll(n.plugins())); return os.Mkdir(n.plugins(), 0o755) }, ""},
		"the driver's directory":            {true, func(n *node) error { return os.RemoveAll(n.dir()) }, ""},
		"the executable":                    {true, func(n *node) error { return os.Remove(n.exec()) }, ""},
		"nothing, but a directory comes":    {false, func(n *node) error { return os.MkdirAll(n.dir(), 0o755) }, ""},
		"the stage":                         {false, func(n *node) error { return os.RemoveAll(n.stage()) }, report.InitFailed},
		"the stage of an upgrade":           {true, func(n *node) error { return os.RemoveAll(n.stage()) }, report.InitFailed},
		"a file in the stage":               {true, func(n *node) error { return os.Remove(n.stage() + "/conf") }, report.InitFailed},
		"nothing, but our file comes":       {false, func(n *node) error { testkit.Write(n.t, n.beside("conf"), "2"); return nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			if test.before {
				p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
				p.mustInstall(p.fileFlags([]string{"conf=1"})...)
			}
			p := n.newPod("pod-2", "nfs", "r2", waiting)
			flags := p.fileFlags([]string{"conf=2"})
			done := make(chan outcome)
			go func() { done <- p.install(flags...) }()
			testkit.Until(t, "init runs", func() bool { _, err := os.Stat(n.root + "/tmp/running"); return err == nil })
			must(test.delete(n))
			testkit.Write(t, n.root+"/tmp/go", "")
			out := <-done
			if test.reason != "" {
				out.wantFailure(t, test.reason)
				must(os.MkdirAll(n.plugins(), 0o755))
				p.mustInstall(flags...)
			} else if out.Result != report.Installed {
				t.Errorf("report %+v", out.Report)
			}
			n.wantFiles("0640 conf")
			n.nothingLeft("[example.com~nfs]")
		})
	}
}

// stage is where the pod that runs has its stage.
func (n *node) stage() string { return filepath.Dir(n.plugins()) + "/.flexvolume-stage-pod-2" }

func TestADirectoryWithoutAnExecutableEndsWithTheNextRun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		put   func(n *node, p *pod)
		stays bool // when install fails
	}{
		"nobody's and empty": {func(n *node, _ *pod) { must(os.Mkdir(n.dir(), 0o755)) }, false},
		"ours":               {func(n *node, p *pod) { p.mustInstall(p.fileFlags([]string{"conf=1"})...); must(os.Remove(n.exec())) }, false},
		"another FlexDriver's": {func(n *node, p *pod) {
			p.flexDriver = "other"
			p.mustInstall()
			must(os.Remove(n.exec()))
		}, true},
		"with a file of others": {func(n *node, p *pod) { p.mustInstall(); must(os.Rename(n.exec(), n.beside("nfs.bak"))) }, true},
		"with our file, changed": {func(n *node, p *pod) {
			p.mustInstall(p.fileFlags([]string{"conf=1"})...)
			must(os.Remove(n.exec()))
			testkit.Write(n.t, n.beside("conf"), "x")
		}, true},
		"with a broken record":    {func(n *node, _ *pod) { testkit.Write(n.t, n.beside(".flexvolume.json"), "{") }, false},
		"with a dot file of some": {func(n *node, _ *pod) { testkit.Write(n.t, n.beside(".nfs.swp"), "") }, true},
	} {
		n := newNode(t)
		test.put(n, n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")))
		before := n.treeOf(n.plugins())
		p := n.newPod("pod-2", "nfs", "r2", testkit.Script("exit 1")).startLater()
		p.install().wantFailure(t, report.InitInvalidOutput)
		if after := n.treeOf(n.plugins()); test.stays && after != before || !test.stays && testkit.List(t, n.plugins()) != "[]" {
			t.Errorf("%s: left is %s", name, after)
		}
		testkit.Write(t, filepath.Join(p.image, driver), testkit.GoodScript("2"))
		p.mustInstall()
		n.nothingLeft("[example.com~nfs]")
	}
}
