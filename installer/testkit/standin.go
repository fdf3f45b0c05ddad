package testkit

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

const standIn = "FLEXVOLUME_TEST_STAND_IN"

// StandInPath is the PATH of a stand-in.
const StandInPath = "/opt/bin:/usr/bin:/bin"

// BeStandIn belongs first in TestMain: a test binary that StandIn has started only waits.
func BeStandIn() {
	if os.Getenv(standIn) != "" {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
}

// StandIn starts a real process with this command line, for the length of a test or until it is
// ended by the function it returns.
func StandIn(t *testing.T, argv ...string) (end func()) {
	t.Helper()
	cmd := exec.Cmd{Path: "/proc/self/exe", Args: argv, Env: append(os.Environ(), standIn+"=1", "PATH="+StandInPath)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	end = func() {
		stdin.Close()
		_ = cmd.Wait() // the second time it complains
	}
	t.Cleanup(end)
	return end
}
