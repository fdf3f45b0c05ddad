// Package selinux tells whether a refusal may be SELinux's. The kernel answers one and the same
// error whoever refused, so this goes by what is known of the node and of this process.
package selinux

import (
	"errors"
	"os"
	"strings"
	"syscall"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
)

// Name gives a failure the reason SELinuxDenied where that is what it must be. Root is the node's,
// or "/" where only the container's own files are seen.
func Name(f *report.Failure, root hostfs.Root) *report.Failure {
	if !errors.Is(f.Cause, syscall.EACCES) && !errors.Is(f.Cause, syscall.EPERM) {
		return f
	}
	if !enforcing(root.Real(enforce)) && !enforcing(enforce) {
		return f
	}
	label, _ := os.ReadFile("/proc/self/attr/current")
	return named(f, strings.TrimRight(string(label), "\x00\n"))
}

// enforce says 1 where SELinux denies and not only warns. Runtimes do not mount it in containers,
// so the node's is looked at first.
const enforce = "/sys/fs/selinux/enforce"

func enforcing(path string) bool {
	data, err := os.ReadFile(path)
	return err == nil && strings.TrimSpace(string(data)) == "1"
}

// unconfined is the type of processes to which SELinux denies nothing: somebody else refused.
const unconfined = "spc_t"

// named takes the label of this process, "user:role:type:level".
func named(f *report.Failure, label string) *report.Failure {
	fields := strings.SplitN(label, ":", 4)
	if len(fields) > 2 && fields[2] == unconfined {
		return f
	}
	if label == "" {
		label = "of unknown label"
	}
	denied := *f
	denied.Reason = report.SELinuxDenied
	denied.Message += "; SELinux of this node is enforcing, and this process is " + label
	return &denied
}
