//go:build amd64

package main

import (
	"os"
	"runtime"
	"syscall"
)

// changing system calls by number: between any two of them the state on disk is a step boundary. To be
// killed before fsync or flock is the same as to be killed before what follows it.
var changing = map[uint64]bool{
	syscall.SYS_WRITE: true, syscall.SYS_RENAME: true, syscall.SYS_RENAMEAT: true, syscall.SYS_MKDIRAT: true,
	syscall.SYS_UNLINKAT: true, syscall.SYS_RMDIR: true, syscall.SYS_FCHMOD: true, syscall.SYS_FCHMODAT: true,
	syscall.SYS_FCHOWN: true, syscall.SYS_FCHOWNAT: true, syscall.SYS_UTIMENSAT: true, syscall.SYS_LINKAT: true, syscall.SYS_OPENAT: true,
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
