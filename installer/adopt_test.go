package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flexvolume.io/installer/publish"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

const always = "--adoption-policy=Always"

func (n *node) backups() string { return filepath.Join(filepath.Dir(n.plugins()), publish.BackupDir) }

// kept is the path below the parent of the plugin directory of a copy of this file.
func kept(t *testing.T, name, content string) string {
	t.Helper()
	key := sum(t, testkit.Write(t, filepath.Join(t.TempDir(), "x"), content))[:12]
	return filepath.Join(publish.BackupDir, vendor+"~"+driver, key, name)
}

func TestAnotherDriverIsReplacedAndACopyKept(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	theirs := testkit.GoodScript("theirs")
	testkit.Write(t, n.exec(), theirs)
	testkit.Write(t, n.beside("conf"), "their conf")
	testkit.Write(t, n.beside("other"), "not in the way")
	must(os.Chmod(n.exec(), 0o710|os.ModeSetuid))
	must(os.Chown(n.beside("conf"), 1000, 1001))
	must(os.Chmod(n.beside("conf"), 0o640))
	before := time.Now().Add(-time.Hour).Truncate(time.Second)
	must(os.Chtimes(n.exec(), before, before))
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	kubelet := newKubelet(t, n.plugins())
	flags := []string{always, p.file("0644", "conf", "ours")}
	for attempt := 1; attempt <= 2; attempt++ {
		out := p.mustInstall(flags...)
		driverCopy, confCopy := kept(t, driver, theirs), kept(t, "conf", "their conf")
		above := filepath.Dir(n.pluginDir)
		if len(out.Warnings) != 1 || out.Warnings[0].Reason != report.AdoptedWithBackup ||
			!strings.Contains(out.Warnings[0].Message, above+"/"+driverCopy) || !strings.Contains(out.Warnings[0].Message, above+"/"+confCopy) {
			t.Errorf("warnings %+v", out.Warnings)
		}
		info, err := os.Stat(n.root + above + "/" + driverCopy)
		if err != nil || info.Mode() != 0o710|os.ModeSetuid || !info.ModTime().Equal(before) || testkit.Read(t, n.root+above+"/"+driverCopy) != theirs {
			t.Errorf("copy of the driver: %v, %v", info, err)
		}
		info, err = os.Stat(n.root + above + "/" + confCopy)
		if stat := info.Sys().(*syscall.Stat_t); err != nil || info.Mode() != 0o640 || stat.Uid != 1000 || stat.Gid != 1001 {
			t.Errorf("copy of conf: %v, %v", info, err)
		}
	}
	kubelet.wantSeen("CREATE example.com~nfs/conf", "CREATE example.com~nfs/nfs", "CHMOD example.com~nfs/nfs")
	if testkit.Read(t, n.beside("other")) != "not in the way" || n.record().FlexDriver != "nfs" {
		t.Error("other files were touched")
	}
	// The warning ends when the copies are gone.
	must(os.RemoveAll(n.backups()))
	if out := p.mustInstall(flags...); len(out.Warnings) != 0 {
		t.Errorf("warnings %+v", out.Warnings)
	}
	n.nothingLeft("[example.com~nfs]")
}

func TestWithoutTheRightToGiveAFileAwayTheCopyIsRootsAndHarmless(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Write(t, n.exec(), "theirs")
	must(os.Chown(n.exec(), 1000, 1000))
	must(os.Chmod(n.exec(), 0o755|os.ModeSetuid))
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).with(capDACOverride, capFOwner, capSysChroot).mustInstall(always)
	info, err := os.Stat(filepath.Join(filepath.Dir(n.plugins()), kept(t, driver, "theirs")))
	if err != nil || info.Mode() != 0o755 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestADriverThatCannotBeCopiedIsNotReplaced(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(n *node)
		reason  report.Reason
		say     string
	}{
		"the parent is read-only":  {func(n *node) { n.mountPlugins(syscall.MS_RDONLY) }, report.PublishFailed, "read-only file system"},
		"a link for the directory": {func(n *node) { must(os.Symlink("/etc", n.backups())) }, report.PublishFailed, "is a symbolic link"},
		"a file for the directory": {func(n *node) { testkit.Write(n.t, n.backups(), "") }, report.PublishFailed, "is a file"},
		"a full disk for the copy": {func(n *node) { n.backupsOn("size=64k") }, report.NoSpace, "no space left"},
		"no inodes for the copy":   {func(n *node) { n.backupsOn("nr_inodes=2") }, report.NoSpace, "no space left"},
		"something where it should": {func(n *node) {
			must(os.MkdirAll(filepath.Join(filepath.Dir(n.plugins()), kept(n.t, driver, big), "x"), 0o755))
		}, report.PublishFailed, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			test.prepare(n)
			testkit.Write(t, n.exec(), big)
			before := n.treeOf(n.plugins())
			out := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).install(always)
			out.wantFailure(t, test.reason, test.say)
			if len(out.Warnings) != 0 || out.Serving.Revision != "" || !strings.Contains(before, n.exec()) {
				t.Errorf("report %+v", out.Report)
			}
			if got := testkit.List(t, n.dir()); testkit.Read(t, n.exec()) != big || got != "[nfs]" {
				t.Errorf("the place holds %s", got)
			}
		})
	}
}

// big does not fit onto a small disk.
var big = "#!/bin/sh\n" + strings.Repeat("#", 100_000)

func (n *node) backupsOn(size string) {
	n.t.Helper()
	must(os.Mkdir(n.backups(), 0o700))
	must(syscall.Mount("tmpfs", n.backups(), "tmpfs", 0, size))
	n.t.Cleanup(func() { must(syscall.Unmount(n.backups(), syscall.MNT_DETACH)) })
}

func TestNeverLeavesEvenTheSameContentAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Write(t, n.exec(), testkit.GoodScript("1"))
	kubelet := newKubelet(t, n.plugins())
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.install("--adoption-policy=Never").wantFailure(t, report.ForeignDriverPresent, "spec.adoptionPolicy is Never")
	kubelet.wantSeen()
	must(os.Remove(n.exec()))
	p.mustInstall("--adoption-policy=Never") // an empty directory is nobody's
	p.mustInstall("--adoption-policy=Never")
}

func TestAPodWaitsForItsTurnToReplaceADriverOfOthers(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Write(t, n.exec(), "theirs")
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	turn := filepath.Join(p.shared, "turn")
	flags := []string{always, "--turn=" + turn}
	out := p.install(flags...)
	out.wantFailure(t, report.ForeignDriverPresent, "when its turn comes", n.pluginDir+"/example.com~nfs/nfs holds")
	if !out.Waits || out.Capabilities == nil || out.Serving.SHA256 != sum(t, n.exec()) {
		t.Errorf("report %+v", out.Report)
	}
	n.nothingLeft("[example.com~nfs]")
	must(os.WriteFile(turn, []byte("false"), 0o644))
	done := make(chan outcome)
	go func() { done <- p.install(flags...) }()
	select {
	case out := <-done:
		t.Fatalf("the second attempt did not wait: %+v", out.Report)
	case <-time.After(1500 * time.Millisecond): // longer than between two looks
	}
	if testkit.Read(t, n.exec()) != "theirs" {
		t.Error("replaced out of turn")
	}
	must(os.WriteFile(turn, []byte("true"), 0o644))
	if out := <-done; out.Result != report.Installed || out.Waits || len(out.Warnings) != 1 {
		t.Errorf("report %+v", out.Report)
	}
	n.wantFiles()
}

func TestNoTurnIsNeededForWhatIsNotReplaced(t *testing.T) {
	t.Parallel()
	for _, there := range []string{"", testkit.GoodScript("1"), "granted"} {
		n := newNode(t)
		p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
		turn := filepath.Join(p.shared, "turn")
		if there != "" {
			testkit.Write(t, n.exec(), there)
		}
		if there == "granted" {
			testkit.Write(t, turn, "true\n")
		}
		if out := p.mustInstall(always, "--turn="+turn); out.Waits {
			t.Errorf("%q: %+v", there, out.Report)
		}
	}
}

func TestAWaitEndsWhenNothingIsInTheWayAnyMore(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Write(t, n.exec(), "theirs")
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	flags := []string{always, "--turn=" + p.shared + "/turn"}
	p.install(flags...).wantFailure(t, report.ForeignDriverPresent)
	done := make(chan outcome)
	go func() { done <- p.install(flags...) }()
	must(os.RemoveAll(n.dir()))
	if out := <-done; out.Result != report.Installed {
		t.Errorf("report %+v", out.Report)
	}
	if got := fmt.Sprint(n.record().InstallID); got != "pod-1" {
		t.Errorf("installed by %s", got)
	}
}
