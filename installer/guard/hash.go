package guard

import (
	"os"
	"syscall"
	"time"

	"flexvolume.io/installer/hostfs"
)

// hashCache spares hashing a file again, by its path, that has not been touched since; every write moves the
// change time, which nobody can set. The kernel's clock for it ticks in milliseconds, so a file
// that changed just now is not remembered: it may change again within the tick.
type hashCache map[string]hashed

type hashed struct {
	known identity
	hex   string
}

const settled = time.Second

type identity struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec
}

func (c hashCache) sum(path string) (string, error) {
	before, err := identify(path)
	if err != nil {
		return "", err
	}
	if last := c[path]; before == last.known && last.hex != "" {
		return last.hex, nil
	}
	hex, err := hostfs.HashFile(path)
	if err != nil {
		return "", err
	}
	if time.Since(time.Unix(before.changed.Unix())) > settled {
		c[path] = hashed{before, hex}
	}
	return hex, nil
}

// forget makes the next sums read the files.
func (c hashCache) forget() { clear(c) }

func identify(path string) (identity, error) {
	var stat syscall.Stat_t
	if err := syscall.Lstat(path, &stat); err != nil {
		return identity{}, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return identity{uint64(stat.Dev), stat.Ino, stat.Size, stat.Ctim}, nil
}
