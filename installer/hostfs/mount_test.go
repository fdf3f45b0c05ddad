package hostfs

import (
	"os"
	"syscall"
	"testing"

	"flexvolume.io/installer/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Isolate(m)) }

func mountOf(t *testing.T, dir string) Mount {
	t.Helper()
	mount, err := MountOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return mount
}

func TestTwoMountsOfOneFileSystemAreNotTheSame(t *testing.T) {
	dir, bound := t.TempDir(), t.TempDir()
	testkit.Bind(t, dir, bound, 0)
	a, b := mountOf(t, dir), mountOf(t, bound)
	if a.Device != b.Device || a.Same(b) || !a.Same(mountOf(t, dir)) {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestFlagsOfMountAndFileSystemAreSeen(t *testing.T) {
	plain := t.TempDir()
	if m := mountOf(t, plain); m.ReadOnly || m.NoExec {
		t.Errorf("plain: %+v", m)
	}
	for flags, seen := range map[uintptr]func(Mount) bool{
		syscall.MS_RDONLY: func(m Mount) bool { return m.ReadOnly && !m.NoExec },
		syscall.MS_NOEXEC: func(m Mount) bool { return !m.ReadOnly && m.NoExec },
	} {
		bound, tmpfs := t.TempDir(), t.TempDir()
		testkit.Bind(t, plain, bound, flags)
		testkit.Mount(t, "tmpfs", tmpfs, "tmpfs", flags)
		for _, dir := range []string{bound, tmpfs} {
			if m := mountOf(t, dir); !seen(m) {
				t.Errorf("flags %#x: %+v", flags, m)
			}
		}
	}
	if _, err := MountOf("/nowhere"); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}
