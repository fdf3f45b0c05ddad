package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

const secret = "password = hunter2\n"

// withHelper is a driver that answers init with what a program beside it prints.
func withHelper(version string) string {
	return testkit.Script("${0%/*}/jq") + "# version " + version + "\n"
}

const helper = "#!/bin/sh\n" + testkit.GoodReply + "\n"

// file is the flag for a file with this content.
func (p *pod) file(mode, name, content string) string {
	p.node.t.Helper()
	return "--file=" + mode + "," + name + "," + testkit.Write(p.node.t, filepath.Join(p.shared, "sources", name, "a,b"), content)
}

// wantFiles checks all that lies in the driver's directory: "0600 conf" by name, its mode first.
func (n *node) wantFiles(want ...string) {
	n.t.Helper()
	want = append(want, "0644 "+record.Name, "0755 "+driver)
	entries, err := os.ReadDir(n.dir())
	if err != nil {
		n.t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			n.t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		got := record.FileOf(entry.Name(), info.Mode(), "").Mode + " " + entry.Name()
		if !strings.Contains("|"+strings.Join(want, "|")+"|", "|"+got+"|") || stat.Uid != 0 || stat.Gid != 0 {
			n.t.Errorf("there is %s of %d:%d, want %q", got, stat.Uid, stat.Gid, want)
		}
	}
	if len(entries) != len(want) {
		n.t.Errorf("%d entries, want %q", len(entries), want)
	}
}

// surroundings change where a stage can lie.
var surroundings = map[string]struct {
	prepare func(n *node)
	flags   []string
}{
	"beside the plugin directory":     {func(*node) {}, nil},
	"parent of another mount":         {func(n *node) { n.mountPlugins(0) }, nil},
	"parent that nothing can run in":  {func(n *node) { n.mountPlugins(syscall.MS_RDONLY | syscall.MS_NOEXEC) }, nil},
	"only the plugin directory":       {func(*node) {}, []string{"--verify=Skip"}},
	"a stage directory made by links": {func(n *node) { n.mountPlugins(syscall.MS_RDONLY); must(os.Symlink("/var", n.root+"/run")) }, nil},
}

func TestFilesLieBesideTheDriverWhenInitRunsAndAfterwards(t *testing.T) {
	t.Parallel()
	for name, around := range surroundings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.makeDir("/var/lib")
			around.prepare(n)
			p := n.newPod("pod-1", "nfs", "r1", withHelper("1"))
			kubelet := newKubelet(t, n.plugins())
			out := p.mustInstall(append(around.flags, p.file("0755", "jq", helper), p.file("0600", "conf", secret))...)
			if seen := kubelet.events(); seen[0] != "CREATE example.com~nfs" || len(around.flags) == 0 && name[0] == 'b' && len(seen) != 1 {
				t.Errorf("the kubelet saw %q", seen)
			}
			n.wantFiles("0755 jq", "0600 conf")
			r := n.record()
			if len(r.ExtraFiles) != 2 || r.ExtraFiles[1] != record.FileOf("conf", 0o600, sum(t, filepath.Join(n.dir(), "conf"))) {
				t.Errorf("record %+v", r)
			}
			payload := filepath.Join(p.shared, "payload")
			for _, name := range []string{"jq", "conf"} {
				info, err := os.Stat(filepath.Join(payload, "files", name))
				if err != nil || info.Mode() != 0o600 || sum(t, filepath.Join(n.dir(), name)) != sum(t, filepath.Join(payload, "files", name)) {
					t.Errorf("payload: %v, %v", info, err)
				}
			}
			if text := out.stderr + string(out.Encode()) + string(r.Encode()); strings.Contains(text, "hunter2") {
				t.Errorf("the secret is in %s", text)
			}
			n.nothingLeft("[example.com~nfs]")
			n.nothingElsewhere()
		})
	}
}

// nothingElsewhere checks that no stage is left where one can lie.
func (n *node) nothingElsewhere() {
	n.t.Helper()
	for _, pattern := range []string{"/run", "/var/lib", "/tmp", "/var"} {
		if left, _ := filepath.Glob(n.root + pattern + "/.flexvolume-*"); len(left) > 0 {
			n.t.Errorf("left %q", left)
		}
	}
}

func TestWithoutADirectoryToTryFilesInNothingIsPublished(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.mountPlugins(syscall.MS_RDONLY)
	testkit.Bind(t, n.root+"/tmp", n.root+"/tmp", syscall.MS_NOEXEC)
	p := n.newPod("pod-1", "nfs", "r1", withHelper("1"))
	p.install(p.file("0755", "jq", helper)).wantFailure(t, report.PublishFailed, "mount of its own", "/tmp")
	n.nothingLeft("[]")
}

func TestAnUpgradeWritesOnlyTheFilesThatChange(t *testing.T) {
	t.Parallel()
	for name, around := range surroundings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			around.prepare(n)
			p := n.newPod("pod-1", "nfs", "r1", withHelper("1"))
			p.mustInstall(append(around.flags, p.file("0755", "jq", helper), p.file("0644", "conf", "1"), p.file("0644", "old", "1"))...)
			before, _ := os.Stat(filepath.Join(n.dir(), "jq"))
			kubelet := newKubelet(t, n.plugins())
			p = n.newPod("pod-2", "nfs", "r2", withHelper("2"))
			flags := append(around.flags, p.file("0755", "jq", helper), p.file("0600", "conf", "2"), p.file("0644", "new", "1"))
			p.mustInstall(flags...)
			after, _ := os.Stat(filepath.Join(n.dir(), "jq"))
			if !os.SameFile(before, after) {
				t.Error("a file was written that was right")
			}
			seen := []string{"CREATE example.com~nfs/conf", "CREATE example.com~nfs/new", "CREATE example.com~nfs/nfs", "REMOVE example.com~nfs/old"}
			kubelet.wantSeen(seen...)
			n.wantFiles("0755 jq", "0600 conf", "0644 new")
			if r := n.record(); len(r.ExtraFiles) != 3 || len(r.Leaving) != 0 || r.InstallID != "pod-2" {
				t.Errorf("record %+v", r)
			}
			p.mustInstall(flags...)
			kubelet.wantSeen(append(seen, "CHMOD example.com~nfs/nfs")...)
			n.nothingLeft("[example.com~nfs]")
		})
	}
}

func TestAChangedFileAloneIsOneEventAndANewContent(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.mustInstall(p.file("0644", "conf", "1"))
	first := n.record()
	kubelet := newKubelet(t, n.plugins())
	p = n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("1"))
	out := p.mustInstall(p.file("0644", "conf", "2"))
	kubelet.wantSeen("CREATE example.com~nfs/conf")
	if r := n.record(); !out.Changed || !r.InstalledAt.After(first.InstalledAt) {
		t.Errorf("report %+v, record %+v", out.Report, r)
	}
	out = p.mustInstall(p.file("0600", "conf", "2"))
	kubelet.wantSeen("CREATE example.com~nfs/conf", "CHMOD example.com~nfs/conf", "CHMOD example.com~nfs/nfs")
	n.wantFiles("0600 conf")
}

func TestAFileThatLeftTheListAndWasChangedBySomebodyStays(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.mustInstall(p.file("0644", "conf", "1"), p.file("0644", "gone", "1"))
	testkit.Write(t, filepath.Join(n.dir(), "conf"), "theirs")
	must(os.Remove(filepath.Join(n.dir(), "gone")))
	p.mustInstall()
	if got := testkit.Read(t, filepath.Join(n.dir(), "conf")); got != "theirs" || len(n.record().Leaving) != 0 {
		t.Errorf("conf holds %q, record %+v", got, n.record())
	}
}

func TestFilesOfOthersAreTakenOverOnlyWithOurContent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		put func(path string) error
		say string // "" when it is taken over
	}{
		"same content":   {func(path string) error { return os.WriteFile(path, []byte("1"), 0o640) }, ""},
		"other content":  {func(path string) error { return os.WriteFile(path, []byte("2"), 0o644) }, "conf holds a file of other content"},
		"a link":         {func(path string) error { return os.Symlink("/etc/conf", path) }, "conf is a symbolic link"},
		"a directory":    {func(path string) error { return os.Mkdir(path, 0o755) }, "conf is a directory"},
		"a special file": {func(path string) error { return syscall.Mkfifo(path, 0o644) }, "conf is a special file"},
	} {
		for _, owned := range []bool{false, true} {
			n := newNode(t)
			p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
			if owned {
				p.mustInstall()
			} else {
				testkit.Write(t, n.exec(), testkit.GoodScript("1"))
			}
			must(test.put(filepath.Join(n.dir(), "conf")))
			before := n.treeOf(n.plugins())
			out := p.install(p.file("0644", "conf", "1"))
			if test.say == "" {
				if out.Result != report.Installed || len(n.record().ExtraFiles) != 1 {
					t.Errorf("%s: %+v", name, out.Report)
				}
				n.wantFiles("0644 conf")
				continue
			}
			out.wantFailure(t, report.ForeignDriverPresent, test.say)
			if n.treeOf(n.plugins()) != before {
				t.Errorf("%s: the node is not as it was", name)
			}
		}
	}
}

func TestTheMissingSourceOfAFileIsNamed(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.install("--file=0755,jq,"+p.image+"/bin/jq").wantFailure(t, report.SourceNotFound, p.image+"/bin/jq", `"jq" in spec.install.files`)
	p.install("--file=0755,jq,"+p.image).wantFailure(t, report.SourceNotFound, "directory", `"jq" in spec.install.files`)
	must(os.Symlink(driver, p.image+"/link"))
	p.mustInstall("--file=0755,jq," + p.image + "/link")
	n.wantFiles("0755 jq")
}

func TestAnInitThatChangesAFileBesideItselfIsRefused(t *testing.T) {
	t.Parallel()
	for _, change := range []string{"echo x >> ${0%/*}/conf", "echo x > ${0%/*}/more; set -- ; exec 3<>${0%/*}/conf; echo yy >&3"} {
		n := newNode(t)
		p := n.newPod("pod-1", "nfs", "r1", testkit.Script(change+"\n"+testkit.GoodReply))
		p.install(p.file("0644", "conf", "1")).wantFailure(t, report.InitFailed, `"conf" beside it`)
		n.nothingLeft("[]")
	}
}

func TestAFailedUpgradeOwnsWhatItPublished(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.mustInstall(p.file("0644", "conf", "1"))
	must(os.Remove(n.exec()))
	testkit.Write(t, filepath.Join(n.exec(), "somebody's"), "")
	p = n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2"))
	p.install(p.file("0644", "conf", "2"), p.file("0644", "new", "2")).wantFailure(t, report.PublishFailed, "directory not empty")
	r := n.record()
	if _, err := os.Lstat(filepath.Join(n.dir(), "new")); !errors.Is(err, os.ErrNotExist) || r.InstallID != "pod-1" || len(r.Leaving) != 2 {
		t.Errorf("%v, record %+v", err, r)
	}
	must(os.RemoveAll(n.exec()))
	p.mustInstall(p.file("0644", "new", "3"))
	n.wantFiles("0644 new")
}

func TestTheLongestNameFitsInEveryStage(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 253)
	for name, around := range surroundings {
		n := newNode(t)
		around.prepare(n)
		p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
		if out := p.install(append(around.flags, p.file("0644", long, "1"))...); out.Result != report.Installed {
			t.Errorf("%s: %+v", name, out.Report)
		}
		p.guard(n.plugins())
		must(os.Remove(n.beside(long)))
		testkit.Until(t, "the guard repairs it", func() bool { return n.whole(sum(t, n.exec())) })
	}
}
