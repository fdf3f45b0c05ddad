// Package hostfs looks at the node's file system from inside a container, where the node's root
// is a directory: symbolic links and mounts must be read as the node reads them.
package hostfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Root is the directory at which the node's root directory is seen.
type Root string

// Real gives the path by which this process reaches the node's path; links are not followed.
func (r Root) Real(path string) string { return filepath.Join(string(r), path) }

// Mounted is an error where there is no directory: the node's root is missing, and nothing can be done.
func (r Root) Mounted() error {
	if info, err := os.Stat(string(r)); err != nil || !info.IsDir() {
		return fmt.Errorf("the node's root is not mounted at %s", string(r))
	}
	return nil
}

// LeadsNowhere says that a path leads to nothing, and not that it cannot be read.
func LeadsNowhere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// maxLinks is the kernel's own limit.
const maxLinks = 40

// Resolve follows the symbolic links of an absolute path as a process on the node would: an
// absolute link starts at the node's root, and ".." never leaves it. The result is a path of the
// node that holds no links. Written by hand because os.Root refuses absolute links and openat2 is
// missing on older kernels and in older seccomp profiles.
func (r Root) Resolve(path string) (string, error) {
	resolved, pending, links := "/", elements(path), 0
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		if name == ".." {
			resolved = filepath.Dir(resolved)
			continue
		}
		next := filepath.Join(resolved, name)
		info, err := os.Lstat(r.Real(next))
		if err != nil {
			return "", onNode(err, next)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			resolved = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: path, Err: syscall.ELOOP}
		}
		target, err := os.Readlink(r.Real(next))
		if err != nil {
			return "", onNode(err, next)
		}
		if filepath.IsAbs(target) {
			resolved = "/"
		}
		pending = append(elements(target), pending...)
	}
	return resolved, nil
}

// Stat describes what the node sees at path, links followed.
func (r Root) Stat(path string) (fs.FileInfo, error) {
	resolved, err := r.Resolve(path)
	if err != nil {
		return nil, err
	}
	return os.Lstat(r.Real(resolved))
}

func elements(path string) []string {
	var kept []string
	for _, name := range strings.Split(path, "/") {
		if name != "" && name != "." {
			kept = append(kept, name)
		}
	}
	return kept
}

func onNode(err error, path string) error {
	if inner, ok := err.(*fs.PathError); ok {
		return &fs.PathError{Op: inner.Op, Path: path, Err: inner.Err}
	}
	return err
}
