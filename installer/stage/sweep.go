package stage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"flexvolume.io/installer/place"
)

func locked(dir string, patience time.Duration, do func() error) error {
	lock, err := place.Lock(dir, patience)
	if err != nil {
		return err
	}
	defer lock.Close()
	return do()
}

// sweep removes the stages in dir whose owners are dead; dir's lock is held.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), Prefix) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if entry.Type().IsRegular() || entry.IsDir() {
			err = errors.Join(err, sweepOne(path))
		}
	}
	return err
}

func sweepOne(path string) error {
	// The lock is on the stage itself: a directory, or the dot file with the driver.
	owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), Prefix), ".")
	file, err := os.OpenFile(filepath.Join(filepath.Dir(path), Prefix+owner), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return os.RemoveAll(path)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if place.TryLock(file) != nil {
		return nil // its owner is alive
	}
	return os.RemoveAll(path)
}
