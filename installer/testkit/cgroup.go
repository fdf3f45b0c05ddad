package testkit

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// kinds of control groups, each with the file that limits memory.
var memoryGroups = []struct{ mount, limit string }{
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
	{"/sys/fs/cgroup", "memory.max"},
}

// MemoryGroup makes a control group with a memory limit, for the length of a test, and gives the file
// that takes the ids of processes. It must be the first that the test makes: its processes have to
// end before it can.
func MemoryGroup(t *testing.T, limit int) (procs string) {
	t.Helper()
	for _, kind := range memoryGroups {
		group, err := os.MkdirTemp(kind.mount, "flexvolume-test-")
		if err != nil {
			continue
		}
		t.Cleanup(func() { Until(t, group+" is gone", func() bool { return os.Remove(group) == nil }) })
		if os.WriteFile(filepath.Join(group, kind.limit), []byte(strconv.Itoa(limit)), 0o644) == nil {
			return filepath.Join(group, "cgroup.procs")
		}
	}
	t.Fatal("these tests need a control group with a memory limit, of version 1 or 2")
	return ""
}
