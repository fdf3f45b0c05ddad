package hostfs

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Mount says what matters about the mount a directory lies on.
type Mount struct {
	ID       string // the kernel's mount id: two bind mounts of one file system differ in it
	Device   uint64
	ReadOnly bool
	NoExec   bool
}

// Same says whether a rename can go from one to the other: the kernel answers EXDEV across two
// mounts even of one file system.
func (m Mount) Same(other Mount) bool { return m.ID == other.ID && m.Device == other.Device }

// Flags of statfs(2), which tell the mount's and the file system's at once.
const (
	statfsReadOnly = 0x1
	statfsNoExec   = 0x8
)

// MountOf looks at the mount of a directory.
func MountOf(dir string) (Mount, error) {
	file, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return Mount{}, err
	}
	defer file.Close()
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &stat); err != nil {
		return Mount{}, os.NewSyscallError("fstat", err)
	}
	var statfs syscall.Statfs_t
	if err := syscall.Fstatfs(int(file.Fd()), &statfs); err != nil {
		return Mount{}, os.NewSyscallError("fstatfs", err)
	}
	id, err := mountID(file)
	if err != nil {
		return Mount{}, err
	}
	return Mount{
		ID:       id,
		Device:   uint64(stat.Dev),
		ReadOnly: statfs.Flags&statfsReadOnly != 0,
		NoExec:   statfs.Flags&statfsNoExec != 0,
	}, nil
}

// mountID reads fdinfo, which has the id on every kernel since 3.15; statx gives it since 5.8 only.
func mountID(file *os.File) (string, error) {
	path := fmt.Sprintf("/proc/self/fdinfo/%d", file.Fd())
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if id, found := strings.CutPrefix(line, "mnt_id:"); found {
			return strings.TrimSpace(id), nil
		}
	}
	return "", fmt.Errorf("%s has no mnt_id", path)
}
