package publish

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
)

// BackupDir lies beside the plugin directory, where no kubelet looks.
const BackupDir = ".flexvolume-backup"

// keyLength is how much of a content's SHA-256 its copy's directory is named after.
const keyLength = 12

// Backups are the copies of what others had in one place.
type Backups struct {
	Parent string // of the plugin directory, as this process reaches it
	Place  place.Place
}

func (b Backups) dir() string { return filepath.Join(b.Parent, BackupDir, b.Place.Name()) }

// Keep copies a file of somebody else; the copy is on disk when it returns. Named after its content,
// it is the same one however often that is tried.
func (b Backups) Keep(f Foreign) error {
	key := filepath.Join(b.dir(), f.SHA256[:keyLength])
	for _, dir := range []string{filepath.Dir(b.dir()), b.dir(), key} {
		if err := makeDir(dir); err != nil {
			return err
		}
	}
	if sum, err := hostfs.HashFile(filepath.Join(key, f.Name)); err == nil && sum == f.SHA256 {
		return nil
	}
	temporary := filepath.Join(key, ".tmp") // no driver's name begins with a dot
	defer os.Remove(temporary)              // when it did not become the copy
	sum, err := copyWhole(b.Place.File(f.Name), temporary)
	if err != nil {
		return err
	}
	if sum != f.SHA256 {
		return fmt.Errorf("%s was changed while it was copied", f.Name)
	}
	if err := hostfs.Rename(temporary, filepath.Join(key, f.Name)); err != nil {
		return err
	}
	return hostfs.SyncDir(key)
}

// List names all copies for the place, as paths below the parent of the plugin directory.
func (b Backups) List() []string {
	var found []string
	keys, _ := os.ReadDir(b.dir())
	for _, key := range keys {
		files, _ := os.ReadDir(filepath.Join(b.dir(), key.Name()))
		for _, file := range files {
			if file.Name()[0] != '.' {
				found = append(found, filepath.Join(BackupDir, b.Place.Name(), key.Name(), file.Name()))
			}
		}
	}
	return found
}

// makeDir makes a directory that only root can look into, unless there is one. A link is none: it
// would lead the copy, and what follows it, elsewhere.
func makeDir(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, os.ErrExist) {
		entry, err := place.Look(path)
		if err == nil && entry.Kind != place.Directory {
			err = fmt.Errorf("%s is %s", path, entry.What())
		}
		return err
	}
	if err != nil {
		return err
	}
	return hostfs.SyncDir(filepath.Dir(path))
}

// copyWhole copies content, owner, mode and time, and returns the SHA-256.
func copyWhole(from, to string) (string, error) {
	source, err := hostfs.OpenRegular(from)
	if err != nil {
		return "", err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return "", err
	}
	sum, err := hostfs.WriteSynced(to, 0o600, source)
	if err != nil {
		return "", err
	}
	mode := info.Mode()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid|stat.Gid != 0 {
		// Without CAP_CHOWN it stays root's, as which no program of others shall run.
		if os.Chown(to, int(stat.Uid), int(stat.Gid)) != nil {
			mode = mode.Perm()
		}
	}
	if err := errors.Join(os.Chmod(to, mode), os.Chtimes(to, info.ModTime(), info.ModTime())); err != nil {
		return "", err
	}
	file, err := os.Open(to)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return sum, file.Sync()
}
