package hostfs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// buffers are small and used again, because the guard shall stay small however often it repairs.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// ErrNotRegular is the answer to a directory, link, pipe or device where a file is expected.
var ErrNotRegular = errors.New("not a regular file")

// OpenRegular opens a file for reading; it neither follows a link nor waits at a named pipe.
func OpenRegular(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) {
		return nil, &os.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// CopyHashed copies everything and returns the SHA-256 in hex.
func CopyHashed(to io.Writer, from io.Reader) (string, error) {
	hash := sha256.New()
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	_, err := io.CopyBuffer(onlyWriter{io.MultiWriter(to, hash)}, onlyReader{from}, buffer[:])
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// These hide ReadFrom and WriteTo, with which io.CopyBuffer would leave the buffer aside.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// HashFile gives the SHA-256 of a regular file in hex.
func HashFile(path string) (string, error) {
	file, err := OpenRegular(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return CopyHashed(io.Discard, file)
}

// WriteSynced makes a new file with content, mode, and root as its owner, on disk before it
// returns. Whatever lay at the path is removed first. It returns the content's SHA-256.
func WriteSynced(path string, mode os.FileMode, content io.Reader) (string, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	return FillSynced(file, mode, content)
}

// FillSynced does the same with an empty file that is open for writing, and closes it.
func FillSynced(file *os.File, mode os.FileMode, content io.Reader) (string, error) {
	defer file.Close()
	sum, err := CopyHashed(file, content)
	if err != nil {
		return "", err
	}
	// The group is inherited from a directory with the set-group-id bit.
	if err := errors.Join(file.Chown(0, 0), file.Chmod(mode), file.Sync()); err != nil {
		return "", err
	}
	return sum, file.Close()
}

// Replace writes a file beside path and renames it over path.
func Replace(path string, mode os.FileMode, content io.Reader) error {
	_, err := ReplaceHashed(path, mode, content)
	return err
}

// ReplaceHashed does so and returns the content's SHA-256.
func ReplaceHashed(path string, mode os.FileMode, content io.Reader) (string, error) {
	temporary := path + ".tmp"
	sum, err := WriteSynced(temporary, mode, content)
	if err != nil {
		return "", err
	}
	return sum, Rename(temporary, path)
}

// Rename is rename(2) itself: os.Rename refuses some directories that the kernel accepts.
func Rename(from, to string) error {
	if err := syscall.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// SyncDir brings a directory's entries to disk.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// BootID tells one boot of the node from another; empty when the host's /proc is not mounted. Our
// own /proc would not do: the kubelet reads the host's, and a node that is itself a container may
// be given a boot id that its kernel does not know.
func BootID(host string) (string, error) {
	data, err := os.ReadFile(filepath.Join(host, "proc/sys/kernel/random/boot_id"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Unlinked says that no directory has an entry for it any more.
func Unlinked(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}
