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
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
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
