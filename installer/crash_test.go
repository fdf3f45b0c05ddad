//go:build amd64

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"flexvolume.io/installer/place"
	"flexvolume.io/installer/testkit"
)

// changing system calls by number: between any two of them the state on disk is a step boundary.
var changing = map[uint64]bool{
	syscall.SYS_WRITE: true, syscall.SYS_RENAME: true, syscall.SYS_MKDIRAT: true, syscall.SYS_UNLINKAT: true,
	syscall.SYS_RMDIR: true, syscall.SYS_FCHMOD: true, syscall.SYS_FCHMODAT: true, syscall.SYS_FCHOWN: true,
	syscall.SYS_FCHOWNAT: true, syscall.SYS_FSYNC: true, syscall.SYS_UTIMENSAT: true, syscall.SYS_OPENAT: true,
	syscall.SYS_FLOCK: true,
}

// runKilled runs a program under ptrace and kills it just before its nth change; it says whether
// the program lived long enough for that.
func runKilled(args []string, nth int) (killed bool, err error) {
	runtime.LockOSThread() // ptrace belongs to a thread
	defer runtime.UnlockOSThread()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer null.Close()
	pid, err := syscall.ForkExec("/proc/self/exe", append([]string{"installer"}, args...), &syscall.ProcAttr{
		Env:   []string{beProgram + "=1"},
		Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
		// A group of its own, to wait for without taking other tests' children.
		Sys: &syscall.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return false, err
	}
	const exitKill = 0x100000
	inside := map[int]bool{} // threads between entry and exit of a system call
	for count, started := 0, false; ; {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-pid, &status, syscall.WALL, nil)
		if err != nil {
			return killed, err
		}
		if status.Exited() || status.Signaled() {
			if tid == pid {
				return killed, nil
			}
			continue
		}
		if !started {
			started = true
			options := syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACESYSGOOD | exitKill
			if err := syscall.PtraceSetOptions(pid, options); err != nil {
				return false, err
			}
		}
		deliver := 0
		switch signal := status.StopSignal(); {
		case signal == syscall.SIGTRAP|0x80:
			if inside[tid] = !inside[tid]; inside[tid] && isChange(tid) {
				count++
			}
		case signal != syscall.SIGTRAP && signal != syscall.SIGSTOP:
			deliver = int(signal)
		}
		if count == nth && !killed {
			killed = true
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return false, err
			}
			continue
		}
		_ = syscall.PtraceSyscall(tid, deliver) // fails for a thread that has been killed
	}
}

func isChange(tid int) bool {
	var registers syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &registers) != nil || !changing[registers.Orig_rax] {
		return false
	}
	const create = syscall.O_CREAT
	return registers.Orig_rax != syscall.SYS_OPENAT || registers.Rdx&create != 0
}

func TestKilledBeforeAnyChangeTheNextRunConverges(t *testing.T) {
	for name, test := range map[string]struct {
		before string // version that serves before, "" for none
		flags  []string
	}{
		"first install beside the plugin directory": {"", nil},
		"upgrade beside the plugin directory":       {"1", nil},
		"same content":                              {"2", nil},
		"first install inside the plugin directory": {"", []string{"--verify=Skip"}},
		"upgrade inside the plugin directory":       {"1", []string{"--verify=Skip"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			points := 0
			for nth := 1; ; nth++ {
				if !crashAt(t, nth, test.before, test.flags) {
					break
				}
				points++
			}
			t.Logf("%d crash points", points)
			if points < 10 {
				t.Errorf("only %d crash points were found", points)
			}
		})
	}
}

// crashAt kills one run at its nth change, looks at what a kubelet would find, and runs again.
func crashAt(t *testing.T, nth int, before string, flags []string) (killed bool) {
	t.Helper()
	n := newNode(t)
	complete := map[string]bool{}
	if before != "" {
		out := n.newPod("pod-1", "nfs", "r"+before, testkit.GoodScript(before)).mustInstall(flags...)
		complete[out.SHA256] = true
	}
	p := n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2"))
	complete[sum(t, filepath.Join(p.image, driver))] = true
	killed, err := runKilled(append(p.installFlags(), flags...), nth)
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("killed before change %d", nth)
	now, err := place.Place{PluginDir: n.plugins(), Vendor: vendor, Driver: driver}.Inspect()
	if err != nil {
		t.Fatal(err)
	}
	switch now.Exec.Kind {
	case place.Absent:
		if before != "" {
			t.Errorf("%s: the executable is missing", at)
		}
	case place.Regular:
		if !complete[now.SHA256] || now.Exec.Mode != 0o755 {
			t.Errorf("%s: a partial executable, mode %v", at, now.Exec.Mode)
		}
	default:
		t.Errorf("%s: the executable is no file", at)
	}
	if nth%2 == 0 { // the pod was replaced
		p = n.newPod("pod-3", "nfs", "r2", testkit.GoodScript("2"))
	}
	out := p.mustInstall(flags...)
	if r := n.record(); r.InstallID != p.id || r.SHA256 != out.SHA256 || sum(t, n.exec()) != out.SHA256 {
		t.Errorf("%s: after the next run %+v", at, r)
	}
	n.nothingLeft("[example.com~nfs]")
	return killed
}
