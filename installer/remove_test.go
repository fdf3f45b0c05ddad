package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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

// removal is a pod that removes the driver of a FlexDriver.
func (n *node) removal(flexDriver string) *pod {
	n.t.Helper()
	return n.newPod("remover", flexDriver, "r1", "")
}

func (p *pod) removeFlags() []string {
	return []string{
		"remove", "--plugin-dir=" + p.node.pluginDir, "--vendor=" + vendor, "--driver=" + driver,
		"--host=" + p.node.root, "--flexdriver-uid=uid-" + p.flexDriver,
		"--report=" + filepath.Join(p.shared, "remove.report"),
	}
}

func (p *pod) remove(more ...string) outcome {
	p.node.t.Helper()
	cmd := p.command(append(p.removeFlags(), more...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	code := exitCode(p.node.t, cmd.Run())
	return outcome{p.report("remove"), code, stderr.String()}
}

func (o outcome) wantRemoved(t *testing.T, changed bool) outcome {
	t.Helper()
	if o.code != exitDone || o.Result != report.Removed || o.Changed != changed || o.Component != report.Remove {
		t.Errorf("ended with %d, %+v\n%s", o.code, o.Report, o.stderr)
	}
	return o
}

// installed is a node with the driver of the FlexDriver nfs.
func installed(t *testing.T) *node {
	t.Helper()
	n := newNode(t)
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	return n
}

// alsoPublished adds files to what the record says.
func (n *node) alsoPublished(extra, leaving []string) {
	n.t.Helper()
	r := n.record()
	publish := func(names []string) (files []record.File) {
		for _, name := range names {
			testkit.Write(n.t, filepath.Join(n.dir(), name), "content of "+name)
			sum := sha256.Sum256([]byte("content of " + name))
			files = append(files, record.File{Name: name, Mode: "0755", SHA256: hex.EncodeToString(sum[:])})
		}
		return files
	}
	r.ExtraFiles, r.Leaving = publish(extra), publish(leaving)
	testkit.Write(n.t, filepath.Join(n.dir(), record.Name), string(r.Encode()))
}

// kept gives the files that removals have moved out, by their names.
func (n *node) kept() map[string]string {
	n.t.Helper()
	paths, _ := filepath.Glob(filepath.Join(filepath.Dir(n.plugins()), ".flexvolume-backup", vendor+"~"+driver, "*", "*"))
	found := map[string]string{}
	for _, path := range paths {
		if data, err := os.ReadFile(path); err == nil {
			found[filepath.Base(path)] = string(data)
		} else {
			found[filepath.Base(path)] = err.Error()
		}
	}
	return found
}

func TestWhatWasInstalledIsRemovedAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	n := installed(t)
	want := sum(t, n.exec())
	n.alsoPublished([]string{"conf", "jq"}, []string{"old"})
	testkit.Write(t, filepath.Join(n.plugins(), "example.com~other", "other"), "another driver")
	kubelet := newKubelet(t, n.plugins())
	out := n.removal("nfs").remove().wantRemoved(t, true)
	if out.SHA256 != want || out.Path != n.pluginDir+"/example.com~nfs/nfs" || out.BootID != testkit.BootID || out.Message != "" {
		t.Errorf("%+v", out.Report)
	}
	if !strings.Contains(out.stderr, "remove: removed "+out.Path+"\n") {
		t.Errorf("log %q", out.stderr)
	}
	n.nothingLeft("[example.com~other]")
	// The executable comes after the other files, and the end of the directory last.
	seen := kubelet.events()
	slices.Sort(seen[:min(3, len(seen))])
	wanted := []string{
		"REMOVE example.com~nfs/conf", "REMOVE example.com~nfs/jq", "REMOVE example.com~nfs/old",
		"REMOVE example.com~nfs/nfs", "REMOVE example.com~nfs",
	}
	if !slices.Equal(slices.Compact(seen), wanted) {
		t.Errorf("the kubelet saw %q", seen)
	}
	n.removal("nfs").remove().wantRemoved(t, false)
}

func TestWhereNothingIsNothingIsRemoved(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	kubelet := newKubelet(t, n.plugins())
	out := n.removal("nfs").remove().wantRemoved(t, false)
	if !strings.Contains(out.stderr, "nothing is at") {
		t.Errorf("log %q", out.stderr)
	}
	// What a kubelet that lost the driver by a rename has to see.
	if seen := slices.Compact(kubelet.events()); !slices.Equal(seen, []string{"CREATE example.com~nfs", "REMOVE example.com~nfs"}) {
		t.Errorf("the kubelet saw %q", seen)
	}
	n.nothingLeft("[]")
	testkit.Write(t, n.root+"/etc/file", "")
	for _, dir := range []string{"/opt/none", "/etc/file", "/etc/file/exec"} {
		n.removal("nfs").remove("--plugin-dir="+dir).wantRemoved(t, false)
	}
	testkit.Bind(t, n.plugins(), n.plugins(), syscall.MS_RDONLY)
	n.removal("nfs").remove().wantRemoved(t, false)
	n.removal("nfs").remove("--host=/nowhere").wantFailure(t, report.InternalError, "/nowhere")
}

func TestWhatIsNotOursStays(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(n *node) error
		words  []string
	}{
		"another FlexDriver's":  {func(n *node) error { return nil }, []string{`"nfs"`, "uid-nfs", "not uid-other"}},
		"without a record":      {func(n *node) error { return os.Remove(filepath.Join(n.dir(), record.Name)) }, []string{"no readable ownership record", "holds nfs"}},
		"with a garbled record": {func(n *node) error { return os.WriteFile(filepath.Join(n.dir(), record.Name), []byte("{"), 0o644) }, []string{"no readable ownership record"}},
		"reached by a link": {func(n *node) error {
			if err := os.Rename(n.dir(), n.root+"/moved"); err != nil {
				return err
			}
			return os.Symlink("/moved", n.dir())
		}, []string{"no directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := installed(t)
			if err := test.change(n); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(n.dir())
			kubelet := newKubelet(t, n.plugins())
			out := n.removal("other").remove()
			out.wantFailure(t, report.NotOwner, test.words...)
			if after, err := os.Lstat(n.dir()); err != nil || !os.SameFile(before, after) || out.Changed {
				t.Errorf("%v, %+v", err, out.Report)
			}
			kubelet.wantSeen()
			n.nothingLeft("[example.com~nfs]")
		})
	}
}

func TestWhatOthersPutThereIsKeptBeside(t *testing.T) {
	t.Parallel()
	n := installed(t)
	n.alsoPublished([]string{"conf", "edited"}, nil)
	for name, content := range map[string]string{
		"edited": "edited", "driver.log": "log", ".state": "state", "sub/file": "deep", driver: "another driver",
	} {
		testkit.Write(t, filepath.Join(n.dir(), name), content)
	}
	if err := os.Symlink("/nowhere", filepath.Join(n.dir(), "link")); err != nil {
		t.Fatal(err)
	}
	kubelet := newKubelet(t, n.plugins())
	out := n.removal("nfs").remove().wantRemoved(t, true)
	where := filepath.Dir(n.pluginDir) + "/.flexvolume-backup/example.com~nfs/"
	for _, words := range []string{where, "driver.log", "edited", "..."} {
		if !strings.Contains(out.Message, words) || !strings.Contains(out.stderr, words) {
			t.Errorf("%q and %q do not say %q", out.Message, out.stderr, words)
		}
	}
	if out.SHA256 != "" {
		t.Errorf("the driver of others is called ours: %+v", out.Report)
	}
	kept := n.kept()
	for name, want := range map[string]string{"edited": "edited", "driver.log": "log", ".state": "state", driver: "another driver"} {
		if kept[name] != want {
			t.Errorf("kept %s: %q", name, kept[name])
		}
	}
	if _, linked := kept["link"]; !linked || len(kept) != 6 {
		t.Errorf("kept %v", kept)
	}
	if got := testkit.List(t, n.plugins()); got != "[]" {
		t.Errorf("left %s", got)
	}
	seen := slices.Compact(kubelet.events())
	if len(seen) < 2 || !slices.Equal(seen[len(seen)-2:], []string{"REMOVE example.com~nfs/nfs", "REMOVE example.com~nfs"}) {
		t.Errorf("the kubelet saw %q", seen)
	}
}

func TestWhatCannotBeKeptBesideIsNotTakenAway(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Mount(t, "tmpfs", n.plugins(), "tmpfs", 0)
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	want := sum(t, n.exec())
	testkit.Write(t, filepath.Join(n.dir(), "driver.log"), "log")
	n.removal("nfs").remove().wantFailure(t, report.NotOwner, "driver.log", "cannot be moved", "cross-device")
	if !n.whole(want) {
		t.Error("the driver was touched")
	}
	if err := os.Remove(filepath.Join(n.dir(), "driver.log")); err != nil {
		t.Fatal(err)
	}
	n.removal("nfs").remove().wantRemoved(t, true)
}

func TestAMountedVolumeKeepsTheDriver(t *testing.T) {
	t.Parallel()
	n := installed(t)
	n.alsoPublished([]string{"conf"}, nil)
	want := sum(t, n.exec())
	const uid, other = "0d9a5a2e-5d0e-4c43-9c0e-0d6d1f9d1a11", "b7d3c1f0-1f57-4b77-8f6e-7f6d6b9a2a50"
	volume := n.root + "/data/kubelet/pods/" + uid + "/volumes/example.com~nfs/my data"
	device := n.root + "/data/kubelet/plugins/kubernetes.io/flexvolume/example.com/nfs/mounts/disk"
	for _, dir := range []string{
		volume, device, n.root + "/var/lib/kubelet/pods/" + other + "/volumes/example.com~nfs/data",
		n.root + "/var/log/pods/default_db-0_" + uid,
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Mount(t, "tmpfs", volume, "tmpfs", 0)
	testkit.Mount(t, "tmpfs", device, "tmpfs", 0)
	kubelet := newKubelet(t, n.plugins())
	out := n.removal("nfs").remove()
	out.wantFailure(t, report.VolumesMounted, "3 volumes", "2 pods", "default/db-0", "my data", "mounts/disk")
	slices.Sort(out.Pods)
	if !slices.Equal(out.Pods, []string{uid, other}) || out.Serving.SHA256 != want || out.Changed {
		t.Errorf("%+v", out.Report)
	}
	kubelet.wantSeen()
	if err := os.RemoveAll(n.root + "/var/lib/kubelet"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{volume, device} {
		n.removal("nfs").remove().wantFailure(t, report.VolumesMounted)
		if err := syscall.Unmount(path, 0); err != nil {
			t.Fatal(err)
		}
	}
	// Nobody knows this kubelet any more: nothing is mounted, and no process says where its pods are.
	n.removal("nfs").remove().wantRemoved(t, true)
	n.nothingLeft("[]")
}

func TestTheReportHasRoomForWhatManyPodsUse(t *testing.T) {
	t.Parallel()
	n := installed(t)
	for i := range 110 {
		uid := fmt.Sprintf("0d9a5a2e-5d0e-4c43-9c0e-%012d", i)
		for _, dir := range []string{"/var/lib/kubelet/pods/" + uid + "/volumes/example.com~nfs/data", "/var/log/pods/default_" + uid + "_" + uid} {
			if err := os.MkdirAll(n.root+dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := n.removal("nfs").remove()
	out.wantFailure(t, report.VolumesMounted, "110 volumes", "110 pods")
	if len(out.Pods) != 16 || out.Pods[0] != "0d9a5a2e-5d0e-4c43-9c0e-000000000000" || out.Path == "" {
		t.Errorf("%+v", out.Report)
	}
}

func TestStagesOfDeadRunsGoToo(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Write(t, filepath.Dir(n.plugins())+"/.flexvolume-stage-dead/nfs", "")
	testkit.Write(t, n.plugins()+"/.flexvolume-stage-dead", "")
	n.removal("nfs").remove().wantRemoved(t, false)
	n.nothingLeft("[]")
}

func TestAnEmptyDirectoryIsTakenAwayWhoeverMadeIt(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	if err := os.Mkdir(n.dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	n.removal("nfs").remove().wantRemoved(t, true)
	n.nothingLeft("[]")
}

func TestADirectoryThatCannotBeChangedIsNamed(t *testing.T) {
	t.Parallel()
	n := installed(t)
	want := sum(t, n.exec())
	setImmutable(t, n.dir())
	out := n.removal("nfs").remove()
	out.wantFailure(t, report.PermissionDenied, "operation not permitted")
	if out.Serving.SHA256 != want {
		t.Errorf("%+v", out.Report)
	}
}

func TestRemovingNeedsNoCapability(t *testing.T) {
	t.Parallel()
	n := installed(t)
	testkit.Write(t, filepath.Join(n.dir(), "driver.log"), "log")
	volume := n.root + "/var/lib/kubelet/pods/u1/volumes/example.com~nfs/data"
	if err := os.MkdirAll(volume, 0o750); err != nil {
		t.Fatal(err)
	}
	n.removal("nfs").with().remove().wantFailure(t, report.VolumesMounted, "1 volume", "1 pod")
	if err := os.Remove(volume); err != nil {
		t.Fatal(err)
	}
	n.removal("nfs").with().remove().wantRemoved(t, true)
	if n.kept()["driver.log"] != "log" {
		t.Errorf("kept %v", n.kept())
	}
}
