package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// startLater gives the pod a program of its own, made now: install reads its start from it.
func (p *pod) startLater() *pod {
	p.node.t.Helper()
	program := filepath.Join(p.shared, "installer")
	if err := p.command("tools", program).Run(); err != nil {
		p.node.t.Fatal(err)
	}
	p.program = program
	return p
}

func TestTwoFlexDriversForOnePlaceTheFirstKeepsIt(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	late := n.newPod("pod-b", "nfs-b", "r9", testkit.GoodScript("b")).startLater()
	first := n.newPod("pod-a", "nfs-a", "r1", testkit.GoodScript("a")).mustInstall()
	kubelet := newKubelet(t, n.plugins())
	// The same content does not make it theirs either.
	for _, content := range []string{testkit.GoodScript("b"), testkit.GoodScript("a")} {
		testkit.Write(t, filepath.Join(late.image, driver), content)
		out := late.install()
		out.wantFailure(t, report.DuplicateDriver, `"nfs-a"`)
		if out.Owner != "nfs-a" || out.Serving != first.Serving {
			t.Errorf("report %+v", out.Report)
		}
	}
	kubelet.wantSeen()
	if n.record().InstallID != "pod-a" {
		t.Errorf("record %+v", n.record())
	}
	n.nothingLeft("[example.com~nfs]")
}

func TestARivalsOldRecordHoldsAndADeletedOnesDoesNot(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.newPod("pod-a", "nfs-a", "r1", testkit.GoodScript("a")).mustInstall()
	heir := n.newPod("pod-b", "nfs-b", "r1", testkit.GoodScript("b")).startLater()
	heir.install("--rival=other", "--rival=nfs-a").wantFailure(t, report.DuplicateDriver, "nfs-a")
	heir.mustInstall("--rival=other")
	if r := n.record(); r.FlexDriver != "nfs-b" || r.SHA256 != sum(t, n.exec()) {
		t.Errorf("record %+v", r)
	}
	n.nothingLeft("[example.com~nfs]")
}

func TestARecreatedFlexDriverOfTheSameNameGoesOn(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-a", "nfs", "r1", testkit.GoodScript("a"))
	p.mustInstall()
	p.mustInstall("--flexdriver-uid=another")
	if n.record().UID != "another" {
		t.Errorf("record %+v", n.record())
	}
}

func TestAnIdenticalForeignFileIsAdoptedWithoutAWrite(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Write(t, n.exec(), testkit.GoodScript("1"))
	before, _ := os.Stat(n.exec())
	kubelet := newKubelet(t, n.plugins())
	out := n.newPod("pod-a", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	after, _ := os.Stat(n.exec())
	if out.Changed || !os.SameFile(before, after) || n.record().FlexDriver != "nfs" {
		t.Errorf("report %+v", out.Report)
	}
	kubelet.wantSeen("CHMOD example.com~nfs/nfs")
}

func TestForeignThingsInThePlaceAreNotTouched(t *testing.T) {
	t.Parallel()
	good := testkit.GoodScript("1")
	for name, put := range map[string]func(n *node){
		"another file": func(n *node) { testkit.Write(t, n.exec(), testkit.GoodScript("0")) },
		"a file, unreadable record": func(n *node) {
			testkit.Write(t, n.exec(), "x")
			testkit.Write(t, filepath.Join(n.dir(), record.Name), "{")
		},
		"a linked file, same content": func(n *node) {
			testkit.Write(t, n.root+"/etc/nfs", good)
			os.Mkdir(n.dir(), 0o755)
			os.Symlink("/etc/nfs", n.exec())
		},
		"a linked directory": func(n *node) {
			os.Mkdir(n.root+"/etc/nfs", 0o755)
			os.Symlink("/etc/nfs", n.dir())
		},
		"a file for the directory": func(n *node) { testkit.Write(t, n.dir(), "") },
		"a directory for the file": func(n *node) { os.MkdirAll(n.exec(), 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			put(n)
			kubelet := newKubelet(t, n.plugins())
			n.newPod("pod-a", "nfs", "r1", good).install().
				wantFailure(t, report.ForeignDriverPresent, "example.com~nfs", "remove it")
			kubelet.wantSeen()
			n.nothingLeft("[example.com~nfs]")
		})
	}
}

func TestServingNamesAForeignFileWithoutARevision(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Write(t, n.exec(), "x")
	out := n.newPod("pod-a", "nfs", "r1", testkit.GoodScript("1")).install()
	if out.Serving != (report.Serving{SHA256: sum(t, n.exec())}) {
		t.Errorf("serving %+v", out.Serving)
	}
}

func TestStagesOfDeadRunsAreSweptAndThoseOfLivingOnesAreNot(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	beside := filepath.Dir(n.plugins())
	dead := []string{
		beside + "/.flexvolume-stage-dead/nfs", n.plugins() + "/.flexvolume-stage-dead",
		n.plugins() + "/.flexvolume-stage-dead.record", beside + "/.flexvolume-stage-pod-a/nfs",
		n.plugins() + "/.flexvolume-stage-dead.file0", n.plugins() + "/.flexvolume-stage-deader.file1",
		n.root + "/tmp/.flexvolume-stage-dead/nfs",
	}
	for _, path := range dead {
		testkit.Write(t, path, "left over")
	}
	living := []string{testkit.Write(t, beside+"/.flexvolume-stage-alive/nfs", ""), testkit.Write(t, n.plugins()+"/.flexvolume-stage-alive", "")}
	siblings := []string{testkit.Write(t, n.plugins()+"/.flexvolume-stage-alive.file0", ""), testkit.Write(t, n.plugins()+"/.flexvolume-stage-alive.record", "")}
	theirs := testkit.Write(t, beside+"/other", "")
	for _, path := range []string{filepath.Dir(living[0]), living[1]} {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := place.TryLock(file); err != nil {
			t.Fatal(err)
		}
	}
	n.newPod("pod-a", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	for _, path := range dead {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	for _, path := range append(append(living, siblings...), theirs) {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestAStageOfThisPodInUseIsNotTakenAway(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	stage := filepath.Dir(testkit.Write(t, filepath.Dir(n.plugins())+"/.flexvolume-stage-pod-a/nfs", ""))
	file, err := os.Open(stage)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := place.TryLock(file); err != nil {
		t.Fatal(err)
	}
	n.newPod("pod-a", "nfs", "r1", testkit.GoodScript("1")).install().wantFailure(t, report.PublishFailed, "lock")
}

func TestToolsKeepTheStartOfThePod(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-a", "nfs", "r1", "").startLater()
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(p.program, began, began); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(p.program)
	p.startLater()
	after, err := os.Stat(p.program)
	if err != nil || !after.ModTime().Equal(began) || after.Mode() != 0o755 || os.SameFile(before, after) {
		t.Errorf("%v, %v", after, err)
	}
	if got := testkit.List(t, p.shared); got != "[installer]" {
		t.Errorf("left %s", got)
	}
}
