// Package verify runs a driver's init as a kubelet would, before any kubelet can, and judges the
// answer as a kubelet judges it. A kubelet has no time limit: an init that hangs stops every pod
// start and deletion on the node.
package verify

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/preflight"
	"flexvolume.io/installer/report"
)

// Init is one call of "<driver> init" in the node's root.
type Init struct {
	Root    hostfs.Root
	Driver  string // path of the node
	Path    string // the kubelet's PATH; "": not known
	Timeout time.Duration
}

// Verdict is what came of a call, with an error where a kubelet would not load the driver.
type Verdict struct {
	Capabilities *report.Capabilities // nil with an error
	SaysAttach   bool                 // the answer does, with true or false
	Took         time.Duration
	Excusable    bool // the error may be due to our surroundings alone: see excusable
}

// Verify runs init and judges it; when ctx ends, so does init.
func (i Init) Verify(ctx context.Context) (Verdict, error) {
	if err := canChroot(); err != nil {
		return Verdict{}, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return Verdict{}, err
	}
	defer reader.Close()
	cmd := i.command(writer)
	before, began := oomKills(), time.Now()
	err = cmd.Start()
	writer.Close()
	if err != nil {
		return Verdict{}, notStarted(err)
	}
	// Whatever init leaves behind goes with it, also after a good answer: the group has no other use.
	defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }()
	printed, exit, err := i.watch(ctx, cmd, reader)
	if err != nil {
		return Verdict{}, err
	}
	took, killed := time.Since(began), oomKills() > before
	return verdict(printed, exit, killed, took)
}

// verdict judges what came to its end by itself.
func verdict(printed []byte, exit string, oomKilled bool, took time.Duration) (Verdict, error) {
	capabilities, err := Judge(printed, exit)
	if err != nil && oomKilled {
		err = killedForMemory(err)
	}
	return Verdict{
		Capabilities: capabilities,
		SaysAttach:   saysAttach(printed),
		Took:         took,
		Excusable:    err != nil && excuse(err, printed),
	}, err
}

func (i Init) command(output *os.File) *exec.Cmd {
	path := i.Path
	if path == "" {
		path = preflight.Path
	}
	return &exec.Cmd{
		Path:        i.Driver,
		Args:        []string{i.Driver, "init"},
		Dir:         "/",
		Env:         []string{"PATH=" + path},
		Stdout:      output,
		Stderr:      output,
		SysProcAttr: &syscall.SysProcAttr{Chroot: string(i.Root), Setpgid: true},
	}
}

// watch waits for both ends that a kubelet waits for: of the process, and of its output, which
// any child that was left behind keeps open.
func (i Init) watch(ctx context.Context, cmd *exec.Cmd, reader *os.File) (all []byte, exit string, err error) {
	exited, closed := make(chan error, 1), make(chan struct{})
	var printed output
	go func() { exited <- cmd.Wait() }()
	go func() {
		_, _ = io.Copy(&printed, reader)
		close(closed)
	}()
	timeout := time.NewTimer(i.Timeout)
	defer timeout.Stop()
	ended := false
	for !ended || closed != nil {
		select {
		case err := <-exited:
			exit, ended = describe(err), true
		case <-closed:
			closed = nil
			if printed.full() {
				return nil, "", report.Failf(report.InitInvalidOutput,
					"init printed more than %d bytes: %s", maxOutput, Quote(printed.bytes()))
			}
		case <-timeout.C:
			return nil, "", i.tooLate(ended, printed.bytes())
		case <-ctx.Done():
			return nil, "", errors.New("the pod was ended while the driver's init ran")
		}
	}
	return printed.bytes(), exit, nil
}

func (i Init) tooLate(ended bool, printed []byte) error {
	what := "did not end within " + i.Timeout.String()
	if ended {
		what = "ended, but a process it left in the background still holds its stdout or stderr after " +
			i.Timeout.String()
	}
	so := "nothing"
	if len(printed) > 0 {
		so = Quote(printed)
	}
	return report.Failf(report.InitTimeout,
		"init %s; a kubelet waits for ever and would start and delete no pod on the node meanwhile; "+
			"it printed %s", what, so)
}

// describe says how a process ended, "" for exit code 0.
func describe(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &exit):
		return exit.String()
	}
	return err.Error()
}

func notStarted(err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return report.Failf(report.WrongArchitecture, "this node's kernel cannot run the driver (%v)", err)
	case errors.Is(err, syscall.ENOENT):
		return report.Failf(report.MissingInterpreter,
			"the driver, its #! interpreter or its loader is not on this node (%v)", err)
	}
	refused := report.Failf(report.InitNotExecutable,
		"the node refused to execute the driver (%v); look for denials by AppArmor, fapolicyd or another "+
			"security module in the node's audit log", err)
	refused.Cause = err
	return refused
}

const capSysChroot = 18

// canChroot tells a pod without the capability from a driver that cannot be executed: both are
// errors of one system call.
func canChroot() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		set, found := strings.CutPrefix(line, "CapEff:")
		if !found {
			continue
		}
		effective, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
		if err != nil {
			return err
		}
		if effective&(1<<capSysChroot) == 0 {
			return report.Failf(report.PermissionDenied,
				"the install container lacks the capability SYS_CHROOT; a policy engine may have removed it")
		}
	}
	return nil
}
