package testkit

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Process puts a process into the /proc of a made-up node, for what cannot be made with a real one.
// Group is its path in every hierarchy of control groups.
func Process(t *testing.T, root string, pid int, group string, argv ...string) {
	t.Helper()
	dir := filepath.Join(root, "proc", strconv.Itoa(pid))
	line := ""
	if len(argv) > 0 { // kernel threads have none
		line = strings.Join(argv, "\x00") + "\x00"
	}
	Write(t, filepath.Join(dir, "cmdline"), line)
	Write(t, filepath.Join(dir, "cgroup"), "12:pids:"+group+"\n1:name=systemd:"+group+"\n0::"+group+"\n")
}

// RealProc mounts on a made-up node the /proc of the tests, with nobody in it but them.
func RealProc(t *testing.T, root string) {
	t.Helper()
	proc := filepath.Join(root, "proc")
	if err := os.MkdirAll(proc, 0o755); err != nil {
		t.Fatal(err)
	}
	Mount(t, "proc", proc, "proc", 0)
}
