package guard

import (
	"os"

	"flexvolume.io/installer/mountinfo"
)

// mounts hears when something is mounted or unmounted in this container. That is how the plugin
// directory is hidden by a mount on the node, of which inotify tells nothing.
type mounts struct {
	changed chan struct{} // nil where it cannot be heard
	table   *os.File
}

// hearMounts begins to listen. The kernel makes the mount table ready for reading once for each
// change, so waiting for it costs nothing, not even a thread: the runtime waits for all files at once.
func hearMounts() mounts {
	table, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return mounts{}
	}
	conn, err := table.SyscallConn()
	if err != nil {
		table.Close()
		return mounts{}
	}
	m := mounts{changed: make(chan struct{}, 1), table: table}
	go func() {
		_ = conn.Read(func(uintptr) (done bool) {
			select {
			case m.changed <- struct{}{}:
			default: // not heard yet, which is news enough
			}
			return false
		})
	}()
	return m
}

func (m mounts) close() {
	if m.table != nil {
		m.table.Close()
	}
}

// follows says whether the mount at dir hears of the node's. It stops doing so when the mount it was
// made from is gone: the plugin directory was a mount, and the node has unmounted it.
func follows(dir string) bool {
	return mountinfo.Follows(mountTable(), dir)
}

// mayBeUnmounted says whether that can happen: path is the same directory as the node knows it.
func mayBeUnmounted(dir, path string) bool {
	table := mountTable()
	return mountinfo.Follows(table, dir) && mountinfo.Separate(table, dir, path)
}

// mountTable is this container's; where it cannot be read, no mount follows.
func mountTable() []byte {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return table
}
