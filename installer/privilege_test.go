package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// Capabilities that a pod may keep.
const (
	capDACOverride = 1
	capFOwner      = 3
	capSysChroot   = 18
	lastCapability = 63
)

// The environment tells the test binary what to give up before it becomes the program.
const (
	keepCapabilities = "FLEXVOLUME_TEST_CAPABILITIES="
	noInotify        = "FLEXVOLUME_TEST_NO_INOTIFY=1"
	joinGroup        = "FLEXVOLUME_TEST_JOIN_GROUP=" // a cgroup.procs file
)

// with lets the pod's containers keep only these capabilities, as the runtime does.
func (p *pod) with(capabilities ...int) *pod {
	p.env = append(p.env, keepCapabilities+fmt.Sprint(capabilities))
	return p
}

// withoutInotify starts the program in a user namespace that may have no inotify instance.
func withoutInotify(cmd *exec.Cmd) {
	root := []syscall.SysProcIDMap{{Size: 65536}}
	cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
	cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings = root, root
	cmd.Env = append(cmd.Env, noInotify)
}

// becomeProgram gives up what the environment says and runs the program.
func becomeProgram() {
	environment := os.Environ()
	if slices.Contains(environment, noInotify) {
		must(os.WriteFile("/proc/sys/user/max_inotify_instances", []byte("0"), 0o644))
	}
	for _, entry := range environment {
		if group, found := strings.CutPrefix(entry, joinGroup); found {
			must(os.WriteFile(group, []byte("0"), 0o644))
		}
	}
	at := slices.IndexFunc(environment, func(entry string) bool { return strings.HasPrefix(entry, keepCapabilities) })
	if at >= 0 {
		dropCapabilities(strings.TrimPrefix(environment[at], keepCapabilities))
		must(syscall.Exec("/proc/self/exe", os.Args, slices.Delete(environment, at, at+1)))
	}
	main()
}

// dropCapabilities narrows the thread's bounding set, which is what the next exec gives.
func dropCapabilities(keep string) {
	const prCapbsetDrop, prSetNoNewPrivs = 24, 38
	runtime.LockOSThread()
	kept := strings.Fields(strings.Trim(keep, "[]"))
	for capability := range uintptr(lastCapability + 1) {
		if !slices.Contains(kept, fmt.Sprint(capability)) {
			_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prCapbsetDrop, capability, 0)
			if errno != 0 && errno != syscall.EINVAL { // beyond what this kernel knows
				panic(errno)
			}
		}
	}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
		panic(errno)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// setImmutable is chattr +i.
func setImmutable(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	set := func(flags int64) {
		const setFlags = 0x40086602 // FS_IOC_SETFLAGS where long has 64 bits
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), setFlags, uintptr(unsafe.Pointer(&flags)))
		if errno != 0 {
			t.Fatalf("chattr %s: %v", path, errno)
		}
	}
	const immutable = 0x10
	set(immutable)
	t.Cleanup(func() {
		set(0)
		file.Close()
	})
}

func TestTheCapabilitiesOfThePodAreEnoughAlsoInADirectoryOfAnotherOwner(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, dir := range []string{filepath.Dir(n.plugins()), n.plugins()} {
		if err := os.Chown(dir, 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	var want string
	pods := map[string]*pod{}
	for _, step := range []string{"1", "2", "2"} {
		p := n.newPod("pod-"+step, "nfs", "r"+step, testkit.GoodScript(step)).with(capDACOverride, capFOwner, capSysChroot)
		want = p.mustInstall(p.file("0755", "jq", helper), p.file("0600", "conf", secret)).SHA256
		pods[step] = p
	}
	p := pods["2"]
	p.env = nil
	g := p.with(capDACOverride, capFOwner).guard(n.plugins())
	for name, drift := range drifts {
		os.RemoveAll(n.root + "/moved")
		if err := drift(n); err != nil {
			t.Fatal(err)
		}
		testkit.Until(t, "repaired: "+name, func() bool { return n.whole(want) })
	}
	if strings.Contains(g.log.String(), "cannot") {
		t.Errorf("log: %s", g.log)
	}
}

func TestAPodWithoutChrootIsPermissionDenied(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).with(capDACOverride, capFOwner)
	p.install().wantFailure(t, report.PermissionDenied, "SYS_CHROOT")
	n.nothingLeft("[]")
}
