// Package stage keeps a driver where no kubelet sees it until it is proven.
//
// The usual stage is a directory beside the plugin directory, because it can be renamed as a whole.
// Where that is not the same mount, the stage is a file with a dot name in the plugin directory: a
// kubelet passes over such files, but not over a dot-named directory that is there when it starts.
// Files beside the driver are then dot files there too, and init, which may look for them beside
// itself, runs from a second copy of all in a directory elsewhere on the node.
package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
)

// Prefix of everything this program stages, so that a later run knows it as its own to sweep.
const Prefix = ".flexvolume-stage-"

// What follows the name of a stage of dot files in those that are not the driver; a number is added
// for each file, as its own name may be too long for more.
const (
	recordSuffix = ".record"
	fileSuffix   = ".file"
)

// Where says where to stage; PluginDir is a path of the node without links.
type Where struct {
	Root        hostfs.Root
	PluginDir   string
	Driver      string
	ID          string // the install id
	InPluginDir bool   // never beside the plugin directory, nor elsewhere: init does not run
	Files       bool   // there will be files beside the driver
}

func (w Where) parent() string { return filepath.Dir(w.PluginDir) }

// Stage is an open stage. The lock on it tells other pods that its owner is alive.
type Stage struct {
	dir    string // the directory beside the plugin directory, or ""
	driver string
	record string
	files  map[string]string // staged files beside the driver, by name
	host   string            // path of the driver as the node sees it
	lock   *os.File
	trial  *Stage // the second copy, or nil
}

// Dir is the staged directory that can be renamed into the plugin directory, or "".
func (s *Stage) Dir() string { return s.dir }

// Driver is the staged executable, Record the staged record, as this process reaches them.
func (s *Stage) Driver() string { return s.driver }

// Record is the staged record's path.
func (s *Stage) Record() string { return s.record }

// File is the path of a staged file beside the driver.
func (s *Stage) File(name string) string { return s.files[name] }

// HostDriver is the staged executable as the node sees it.
func (s *Stage) HostDriver() string { return s.host }

// Tried is the copy from which init runs: files lie beside the driver under their own names.
func (s *Stage) Tried() *Stage {
	if s.trial != nil {
		return s.trial
	}
	return s
}

// Open sweeps what dead runs left and makes an empty stage. Patience is how long to wait for
// other pods of the node that do the same.
func Open(w Where, patience time.Duration) (*Stage, error) {
	plugins := w.Root.Real(w.PluginDir)
	if err := locked(plugins, patience, func() error { return sweep(plugins) }); err != nil {
		return nil, err
	}
	sweepElsewhere(w)
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
	s, err := openIn(w, w.PluginDir, patience, openFile)
	if err != nil || !w.Files || w.InPluginDir {
		return s, err
	}
	if s.trial, err = openElsewhere(w); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
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
		files:  map[string]string{},
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
	s := &Stage{driver: path, record: path + recordSuffix, host: host, files: map[string]string{}}
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
