package place

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// ErrBusy says that another pod of this node held the lock all the time.
var ErrBusy = errors.New("another installer or guard holds the lock of the plugin directory")

// lockRetry is short because whoever holds the lock does so for a few renames.
const lockRetry = 20 * time.Millisecond

// Patience is how long to wait where other pods of the node may be publishing or removing.
const Patience = 20 * time.Second

// Lock takes the plugin directory's flock, which serialises everything that changes the directory
// between the pods of a node. It is tried again until patience runs out; closing the file unlocks.
func Lock(pluginDir string, patience time.Duration) (*os.File, error) {
	dir, err := os.OpenFile(pluginDir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(lockRetry) {
		err := TryLock(dir)
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, ErrBusy) || time.Now().After(deadline) {
			dir.Close()
			return nil, err
		}
	}
}

// TryLock takes the flock of an open file, or says ErrBusy at once.
func TryLock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrBusy
	}
	return os.NewSyscallError("flock", err)
}
