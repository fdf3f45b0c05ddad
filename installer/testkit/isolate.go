// Package testkit gives the tests a node: a root directory with a shell, real mounts that nobody
// else sees, and drivers of every kind. Only tests import it.
package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

const isolated = "FLEXVOLUME_TEST_ISOLATED"

// Isolate runs the tests in mount and process namespaces of their own, so that no mount and no
// process of a hanging driver outlives them. It must run as root.
func Isolate(m *testing.M) int {
	if os.Getenv(isolated) != "" {
		if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			fmt.Fprintln(os.Stderr, "mounting /proc:", err)
			return 1
		}
		return m.Run()
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), isolated+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGKILL,
	}
	// An interrupt reaches the tests too, being of this process group, and how they end is theirs.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "these tests need root, for namespaces and chroot:", err)
		return 1
	}
	return 0
}

// Patience is the deadline of Until: far more than anything here takes.
const Patience = 20 * time.Second

// Until polls a condition and fails the test when it does not come true.
func Until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	UntilWithin(t, Patience, what, condition)
}

// UntilWithin does so with another deadline.
func UntilWithin(t *testing.T, patience time.Duration, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// Mount mounts for the length of a test.
func Mount(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, ""); err != nil {
		t.Fatalf("mounting %s on %s: %v", source, target, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			t.Errorf("unmounting %s: %v", target, err)
		}
	})
}

// Bind makes a directory a mount of its own and then sets flags on it, such as MS_RDONLY.
func Bind(t *testing.T, source, target string, flags uintptr) {
	t.Helper()
	Mount(t, source, target, "", syscall.MS_BIND)
	if flags != 0 {
		if err := syscall.Mount("", target, "", syscall.MS_REMOUNT|syscall.MS_BIND|flags, ""); err != nil {
			t.Fatalf("remounting %s: %v", target, err)
		}
	}
}
