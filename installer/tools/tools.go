// Package tools carries this program into a container of another image.
package tools

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"flexvolume.io/installer/hostfs"
)

const self = "/proc/self/exe"

// Copy puts this program at dest, complete or not at all. A copy that is there already keeps its
// time, which install reads as the start of the pod: init containers run again when the sandbox of
// a pod is made anew.
func Copy(dest string) error {
	began := time.Now()
	old, err := os.Stat(dest)
	if err == nil {
		began = old.ModTime()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	program, err := os.Open(self)
	if err != nil {
		return err
	}
	defer program.Close()
	if err := hostfs.Replace(dest, 0o755, program); err != nil {
		return err
	}
	return os.Chtimes(dest, began, began)
}

// Since is the start of this pod: when tools first made the file that runs now.
func Since() (time.Time, error) {
	info, err := os.Stat(self)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}
