package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

func TestTheGuardEndsAtOnceWhenThePluginDirWasReplaced(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(n *node) error{
		"removed": func(n *node) error { return os.RemoveAll(n.plugins()) },
		"renamed": func(n *node) error { return os.Rename(n.plugins(), n.root+"/moved") },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
			want := p.mustInstall().SHA256
			mounted := t.TempDir()
			testkit.Bind(t, n.plugins(), mounted, 0)
			g := p.guard(mounted)
			// The removal races with the guard's repair, like rm -rf against any writer.
			testkit.Until(t, "the directory is replaced", func() bool { return replace(n) == nil })
			if err := os.MkdirAll(n.plugins(), 0o755); err != nil {
				t.Fatal(err)
			}
			if code, _ := g.wait(); code != 0 || !strings.Contains(g.log.String(), "replaced") {
				t.Fatalf("ended with %d; log %s", code, g.log)
			}
			if err := syscall.Unmount(mounted, syscall.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
			testkit.Bind(t, n.plugins(), mounted, 0)
			p.guard(mounted)
			testkit.Until(t, "the new directory has the driver", func() bool { return n.whole(want) })
		})
	}
}

func TestTheGuardEndsAtOnceWhenSomethingIsMountedOverThePluginDir(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.mustInstall()
	mounted := t.TempDir()
	testkit.Bind(t, n.plugins(), mounted, 0)
	g := p.guard(mounted)
	began := time.Now()
	testkit.Mount(t, "tmpfs", mounted, "tmpfs", 0) // as HostToContainer brings it here
	code, r := g.wait()
	if took := time.Since(began); code != 0 || r.Result != report.Installed || took > 2*time.Second {
		t.Errorf("ended with %d after %s, %+v; log %s", code, took, r, g.log)
	}
}

func TestTheGuardEndsWhenThePluginDirWasUnmounted(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Mount(t, "tmpfs", n.plugins(), "tmpfs", 0)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.mustInstall()
	mounted := t.TempDir()
	propagate := func(dir string, how uintptr) {
		if err := syscall.Mount("", dir, "", how, ""); err != nil {
			t.Fatal(err)
		}
	}
	// As on a node, and in a container with HostToContainer.
	propagate(n.plugins(), syscall.MS_SHARED)
	testkit.Bind(t, n.plugins(), mounted, 0)
	propagate(mounted, syscall.MS_SLAVE)
	g := p.guard(mounted)
	if err := syscall.Unmount(n.plugins(), syscall.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	// Nothing tells of it, so it is seen at the next look.
	if err := os.Remove(mounted + "/example.com~nfs/nfs"); err != nil {
		t.Fatal(err)
	}
	if code, _ := g.wait(); code != 0 || !strings.Contains(g.log.String(), "replaced") || g.repairs() != 0 {
		t.Errorf("ended with %d, %d repairs; log %s", code, g.repairs(), g.log)
	}
}
