package guard

import (
	"os"
	"syscall"
	"time"

	"flexvolume.io/installer/hostfs"
)

// hashCache spares hashing a file again that has not been touched since; every write moves the
// change time, which nobody can set. The kernel's clock for it ticks in milliseconds, so a file
// that changed just now is not remembered: it may change again within the tick.
type hashCache struct {
	known identity
	hex   string
}

const settled = time.Second

type identity struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec
}

func (c *hashCache) sum(path string) (string, error) {
	before, err := identify(path)
	if err != nil {
		return "", err
	}
	if before == c.known {
		return c.hex, nil
	}
	hex, err := hostfs.HashFile(path)
	if err != nil {
		return "", err
	}
	if time.Since(time.Unix(before.changed.Unix())) > settled {
		c.known, c.hex = before, hex
	}
	return hex, nil
}

// forget makes the next sum read the file.
func (c *hashCache) forget() { c.known = identity{} }

func identify(path string) (identity, error) {
	var stat syscall.Stat_t
	if err := syscall.Lstat(path, &stat); err != nil {
		return identity{}, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return identity{uint64(stat.Dev), stat.Ino, stat.Size, stat.Ctim}, nil
}
