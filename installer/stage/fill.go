package stage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
)

// Fill writes the driver and returns its SHA-256.
func (s *Stage) Fill(content io.Reader) (string, error) {
	file, err := os.OpenFile(s.driver, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	sum, err := hostfs.FillSynced(file, place.DriverMode, content)
	if err != nil {
		return "", err
	}
	if s.trial != nil {
		return sum, again(s.driver, s.trial.Fill)
	}
	if s.dir == "" {
		return sum, nil
	}
	// The directory may become the driver's own.
	return sum, errors.Join(os.Chown(s.dir, 0, 0), os.Chmod(s.dir, place.DirMode), hostfs.SyncDir(s.dir))
}

// FillFile writes a file that is to lie beside the driver and returns its SHA-256. Until its content
// is whole, and for good where its mode says so, nobody but root can read it.
func (s *Stage) FillFile(name string, mode os.FileMode, content io.Reader) (string, error) {
	path := filepath.Join(s.dir, name)
	if s.dir == "" {
		path = fmt.Sprint(s.driver, fileSuffix, len(s.files))
	}
	s.files[name] = path
	sum, err := hostfs.WriteSynced(path, mode, content)
	if err != nil {
		return "", err
	}
	if s.trial != nil {
		return sum, again(path, func(content io.Reader) (string, error) {
			return s.trial.FillFile(name, mode, content)
		})
	}
	if s.dir == "" {
		return sum, nil
	}
	return sum, hostfs.SyncDir(s.dir)
}

// again fills the second copy from the first.
func again(path string, fill func(io.Reader) (string, error)) error {
	file, err := hostfs.OpenRegular(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fill(file)
	return err
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
	ours := []string{s.driver, s.record}
	for _, path := range s.files {
		ours = append(ours, path)
	}
	entries, err := os.ReadDir(s.dir)
	for _, entry := range entries {
		if path := filepath.Join(s.dir, entry.Name()); !slices.Contains(ours, path) {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// Close removes what has not been published.
func (s *Stage) Close() error {
	defer s.lock.Close()
	var err error
	if s.trial != nil {
		err = s.trial.Close()
	}
	if s.dir != "" {
		return os.RemoveAll(s.dir)
	}
	for _, path := range s.files {
		err = errors.Join(err, removeIfThere(path))
	}
	// The driver last: without it the others belong to nobody.
	return errors.Join(err, removeIfThere(s.record), removeIfThere(s.driver))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
