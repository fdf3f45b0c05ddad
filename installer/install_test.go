package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

func sum(t *testing.T, path string) string {
	t.Helper()
	hex, err := hostfs.HashFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return hex
}

func TestFirstInstallPublishesDriverWithRecordAndPayload(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	out := p.mustInstall()

	want := sum(t, filepath.Join(p.image, driver))
	if out.SHA256 != want || out.Serving != (report.Serving{Revision: "r1", SHA256: want}) || !out.Changed {
		t.Errorf("report %+v", out.Report)
	}
	if out.Path != n.pluginDir+"/example.com~nfs/nfs" || out.BootID != testkit.BootID {
		t.Errorf("path %q, boot id %q", out.Path, out.BootID)
	}
	wantCaps := report.Capabilities{SELinuxRelabel: true, RequiresFSResize: true}
	if out.Capabilities == nil || *out.Capabilities != wantCaps {
		t.Errorf("capabilities %+v, want %+v", out.Capabilities, wantCaps)
	}
	info, err := os.Stat(n.exec())
	if err != nil || info.Mode() != 0o755 || sum(t, n.exec()) != want {
		t.Errorf("published %v, %v", info, err)
	}
	r := n.record()
	if r.FlexDriver != "nfs" || r.UID != "uid-nfs" || r.Revision != "r1" || r.SHA256 != want ||
		r.InstallID != "pod-1" || len(r.ExtraFiles) != 0 || r.BootID != out.BootID {
		t.Errorf("record %+v", r)
	}
	payload := filepath.Join(p.shared, "payload")
	if sum(t, filepath.Join(payload, "driver")) != want || testkit.List(t, payload) != "[driver record.json]" {
		t.Errorf("payload %s", testkit.List(t, payload))
	}
	if got := testkit.Read(t, filepath.Join(payload, "record.json")); got != testkit.Read(t, filepath.Join(n.dir(), record.Name)) {
		t.Errorf("the payload's record differs: %s", got)
	}
	n.nothingLeft("[example.com~nfs]")
}

func TestInstallWorksWithAnELFDriver(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.newPod("pod-1", "nfs", "r1", testkit.Read(t, "/proc/self/exe")).mustInstall()
}

func TestInstallPublishesIntoADirectoryThatIsThere(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"empty": "", "with another file": "conf"} {
		n := newNode(t)
		if err := os.Mkdir(n.dir(), 0o777); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Stat(n.dir())
		if file != "" {
			testkit.Write(t, filepath.Join(n.dir(), file), "x")
		}
		n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
		after, _ := os.Stat(n.dir())
		if !os.SameFile(before, after) {
			t.Errorf("%s: the directory was replaced, which older kubelets take for its removal", name)
		}
		if after.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s: others may write: %v", name, after.Mode())
		}
		n.nothingLeft("[example.com~nfs]")
	}
}

func TestUpgradeReplacesFileAndRecord(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	first := n.record()
	p := n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2"))
	out := p.mustInstall()
	if !out.Changed || out.Serving.Revision != "r2" || sum(t, n.exec()) != out.SHA256 {
		t.Errorf("report %+v", out.Report)
	}
	r := n.record()
	if r.InstallID != "pod-2" || r.SHA256 != out.SHA256 || !r.InstalledAt.After(first.InstalledAt) {
		t.Errorf("record %+v", r)
	}
	n.nothingLeft("[example.com~nfs]")
}

func TestSameContentIsTouchedButNotWritten(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	first, old := n.record(), time.Now().Add(-time.Hour)
	if err := os.Chmod(n.exec(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(n.exec(), old, old); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(n.exec())
	out := n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("1")).mustInstall()
	after, _ := os.Stat(n.exec())
	if out.Changed || !os.SameFile(before, after) {
		t.Error("the executable was written")
	}
	if after.Mode() != 0o755 || !after.ModTime().After(old) {
		t.Errorf("mode %v, time %v: want the mode mended and a touch", after.Mode(), after.ModTime())
	}
	r := n.record()
	if r.InstallID != "pod-2" || r.Revision != "r2" || !r.InstalledAt.Equal(first.InstalledAt) || !r.VerifiedAt.After(first.VerifiedAt) {
		t.Errorf("record %+v after %+v", r, first)
	}
}

func TestAFileOfAnotherOwnerIsReplaced(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	if err := os.Chown(n.exec(), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	n.newPod("pod-2", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	info, _ := os.Stat(n.exec())
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 0 || stat.Gid != 0 {
		t.Errorf("owner %d:%d", stat.Uid, stat.Gid)
	}
}

func TestSetGroupIDDirectoriesDoNotGiveTheirGroup(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	if err := os.Chown(n.plugins(), 0, 1000); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(n.plugins(), 0o2755|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall("--verify=Skip")
	info, _ := os.Stat(n.exec())
	if stat := info.Sys().(*syscall.Stat_t); stat.Gid != 0 {
		t.Errorf("group %d", stat.Gid)
	}
}

func TestPluginDirIsFoundThroughLinksOfTheNode(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	if err := os.Rename(n.root+"/usr/libexec", n.root+"/var/libexec"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/var/libexec", n.root+"/usr/libexec"); err != nil {
		t.Fatal(err)
	}
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	out := p.mustInstall()
	real := n.root + strings.Replace(n.pluginDir, "/usr/", "/var/", 1)
	if testkit.List(t, real) != "[example.com~nfs]" || out.Path != n.pluginDir+"/example.com~nfs/nfs" {
		t.Errorf("%s; path %s", testkit.List(t, real), out.Path)
	}
}

func TestInitLeavesNothingInThePublishedDirectory(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	body := "echo log > \"${0%/*}/nfs.log\"\n" + testkit.GoodReply
	n.newPod("pod-1", "nfs", "r1", testkit.Script(body)).mustInstall()
	if got := testkit.List(t, n.dir()); got != "[.flexvolume.json nfs]" {
		t.Errorf("published %s", got)
	}
}

func TestSkipPublishesUnprovenThroughTheMountedPluginDirAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	partial := &node{t: t, root: filepath.Join(t.TempDir(), "partial"), pluginDir: n.pluginDir}
	if err := os.MkdirAll(partial.plugins(), 0o755); err != nil {
		t.Fatal(err)
	}
	testkit.Bind(t, n.plugins(), partial.plugins(), 0)
	p := partial.newPod("pod-1", "nfs", "r1", "#!/opt/only-on-the-node\nexit 1\n")
	out := p.mustInstall("--verify=Skip")
	if out.Capabilities != nil || out.Serving.SHA256 != sum(t, n.exec()) || out.Kubelet != (report.Seen{}) {
		t.Errorf("report %+v", out.Report)
	}
	n.nothingLeft("[example.com~nfs]")
	partial.nothingLeft("[example.com~nfs]")
}

// mountPlugins makes the plugin directory a mount of its own below a parent with these flags.
func (n *node) mountPlugins(parent uintptr) {
	n.t.Helper()
	above := filepath.Dir(n.plugins())
	testkit.Bind(n.t, above, above, 0)
	testkit.Bind(n.t, n.t.TempDir(), n.plugins(), 0)
	must(syscall.Mount("", above, "", syscall.MS_REMOUNT|syscall.MS_BIND|parent, ""))
}

func TestAPluginDirOfAnotherMountIsStagedInside(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.mountPlugins(syscall.MS_RDONLY | syscall.MS_NOEXEC)
	for _, version := range []string{"1", "2", "2"} {
		n.newPod("pod-"+version, "nfs", "r"+version, testkit.GoodScript(version)).mustInstall()
	}
	n.nothingLeft("[example.com~nfs]")
}

func TestAnInstallThatIsEndedCleansUpAndSaysSo(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.Script("echo on > /tmp/running\nsleep 1000"))
	cmd := p.command(p.installFlags()...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "init runs", func() bool {
		_, err := os.Stat(n.root + "/tmp/running")
		return err == nil
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(t, cmd.Wait()); code != exitInternal || p.report("install").Reason != report.InternalError {
		t.Errorf("ended with %d, %+v", code, p.report("install"))
	}
	n.nothingLeft("[]")
}
