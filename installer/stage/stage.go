// Package stage keeps a driver where no kubelet sees it until it is proven.
//
// The usual stage is a directory beside the plugin directory, because it can be renamed as a whole.
// Where that is not the same mount, the stage is a file with a dot name in the plugin directory: a
// kubelet passes over such files, but not over a dot-named directory that is there when it starts.
package stage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
)

// Prefix of everything this program stages, so that a later run knows it as its own to sweep.
const Prefix = ".flexvolume-stage-"

const recordSuffix = ".record"

// Where says where to stage; PluginDir is a path of the node without links.
type Where struct {
	Root        hostfs.Root
	PluginDir   string
	Driver      string
	ID          string // the install id
	InPluginDir bool   // never beside the plugin directory
}

func (w Where) parent() string { return filepath.Dir(w.PluginDir) }

// Stage is an open stage. The lock on it tells other pods that its owner is alive.
type Stage struct {
	dir    string // the directory beside the plugin directory, or ""
	driver string
	record string
	host   string // path of the driver as the node sees it
	lock   *os.File
}

// Dir is the staged directory that can be renamed into the plugin directory, or "".
func (s *Stage) Dir() string { return s.dir }

// Driver is the staged executable, Record the staged record, as this process reaches them.
func (s *Stage) Driver() string { return s.driver }

// Record is the staged record's path.
func (s *Stage) Record() string { return s.record }

// HostDriver is the staged executable as the node sees it.
func (s *Stage) HostDriver() string { return s.host }

// Open sweeps what dead runs left and makes an empty stage. Patience is how long to wait for
// other pods of the node that do the same.
func Open(w Where, patience time.Duration) (*Stage, error) {
	plugins := w.Root.Real(w.PluginDir)
	if err := locked(plugins, patience, func() error { return sweep(plugins) }); err != nil {
		return nil, err
	}
	beside, err := canStageBeside(w)
	if err != nil {
		return nil, err
	}
	if beside {
		s, err := openIn(w, w.parent(), patience, openDir)
		if err == nil || errors.Is(err, place.ErrBusy) {
			return s, err
		}
		// A parent that refuses (immutable, a full quota) is no reason to give up.
	}
	return openIn(w, w.PluginDir, patience, openFile)
}

func canStageBeside(w Where) (bool, error) {
	if w.InPluginDir || w.PluginDir == "/" {
		return false, nil
	}
	plugins, err := hostfs.MountOf(w.Root.Real(w.PluginDir))
	if err != nil {
		return false, err
	}
	parent, err := hostfs.MountOf(w.Root.Real(w.parent()))
	return err == nil && plugins.Same(parent), nil
}

// OpenHeld makes a stage in the plugin directory for who already holds that directory's lock.
func OpenHeld(w Where) (*Stage, error) {
	if err := sweep(w.Root.Real(w.PluginDir)); err != nil {
		return nil, err
	}
	return openFile(w, filepath.Join(w.PluginDir, Prefix+w.ID))
}

// openIn makes the stage in a directory of the node, under that directory's lock: between making
// and locking the stage another pod must not sweep it.
func openIn(w Where, dir string, patience time.Duration, open func(Where, string) (*Stage, error)) (*Stage, error) {
	var s *Stage
	real := w.Root.Real(dir)
	err := locked(real, patience, func() error {
		if err := sweep(real); err != nil {
			return err
		}
		var err error
		s, err = open(w, filepath.Join(dir, Prefix+w.ID))
		return err
	})
	if errors.Is(err, os.ErrExist) {
		err = fmt.Errorf("%s in %s: %w", Prefix+w.ID, dir, place.ErrBusy)
	}
	return s, err
}

func openDir(w Where, host string) (*Stage, error) {
	dir := w.Root.Real(host)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	s := &Stage{
		dir:    dir,
		driver: filepath.Join(dir, w.Driver),
		record: filepath.Join(dir, record.Name),
		host:   filepath.Join(host, w.Driver),
	}
	return s, s.claim(dir)
}

func openFile(w Where, host string) (*Stage, error) {
	path := w.Root.Real(host)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	file.Close()
	s := &Stage{driver: path, record: path + recordSuffix, host: host}
	return s, s.claim(path)
}

// claim locks the stage. It is opened for reading only: a file open for writing cannot be executed.
func (s *Stage) claim(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	s.lock = file
	return place.TryLock(file)
}

// Fill writes the driver and returns its SHA-256.
func (s *Stage) Fill(content io.Reader) (string, error) {
	file, err := os.OpenFile(s.driver, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	sum, err := hostfs.FillSynced(file, place.DriverMode, content)
	if err != nil || s.dir == "" {
		return sum, err
	}
	// The directory may become the driver's own.
	return sum, errors.Join(os.Chown(s.dir, 0, 0), os.Chmod(s.dir, place.DirMode), hostfs.SyncDir(s.dir))
}

// PutRecord writes the record. The plugin directory's lock is held: nobody sweeps meanwhile.
func (s *Stage) PutRecord(r record.Record) error {
	_, err := hostfs.WriteSynced(s.record, place.RecordMode, bytes.NewReader(r.Encode()))
	if err != nil || s.dir == "" {
		return err
	}
	if err := s.prune(); err != nil {
		return err
	}
	return hostfs.SyncDir(s.dir)
}

// prune removes what the driver's init left beside the driver, as the directory may be published.
func (s *Stage) prune() error {
	entries, err := os.ReadDir(s.dir)
	for _, entry := range entries {
		path := filepath.Join(s.dir, entry.Name())
		if path != s.driver && path != s.record {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// Close removes what has not been published.
func (s *Stage) Close() error {
	defer s.lock.Close()
	if s.dir != "" {
		return os.RemoveAll(s.dir)
	}
	return errors.Join(removeIfThere(s.record), removeIfThere(s.driver))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
