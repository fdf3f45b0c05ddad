package publish

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
)

// Payload is the directory, shared by the containers of one pod, in which install leaves the guard
// what it repairs from.
type Payload string

// Driver is the pristine copy.
func (p Payload) Driver() string { return filepath.Join(string(p), "driver") }

// File is the pristine copy of a file beside the driver.
func (p Payload) File(name string) string { return filepath.Join(string(p), "files", name) }

func (p Payload) recordPath() string { return filepath.Join(string(p), "record.json") }

// PutDriver copies the driver into the payload and returns its SHA-256.
func (p Payload) PutDriver(from string) (string, error) {
	return p.put(from, p.Driver(), place.DriverMode)
}

// PutFile does so with a file beside the driver, which may be a secret.
func (p Payload) PutFile(from, name string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(p.File(name)), 0o700); err != nil {
		return "", err
	}
	return p.put(from, p.File(name), 0o600)
}

func (p Payload) put(from, to string, mode os.FileMode) (string, error) {
	if err := os.MkdirAll(string(p), 0o755); err != nil {
		return "", err
	}
	file, err := hostfs.OpenRegular(from)
	if err != nil {
		return "", err
	}
	defer file.Close()
	// Not beside the target: any name there may be a file's own.
	temporary := filepath.Join(string(p), "tmp")
	sum, err := hostfs.WriteSynced(temporary, mode, file)
	if err != nil {
		return "", err
	}
	return sum, hostfs.Rename(temporary, to)
}

// Wait leaves word for the next attempt of this pod that only the grant to replace a driver of
// others is missing.
func (p Payload) Wait() error { return os.WriteFile(p.waits(), nil, 0o644) }

// Waits says that an earlier attempt left that word.
func (p Payload) Waits() bool {
	_, err := os.Stat(p.waits())
	return err == nil
}

func (p Payload) waits() string { return filepath.Join(string(p), "waits") }

// PutRecord writes the record into the payload.
func (p Payload) PutRecord(r record.Record) error {
	return hostfs.Replace(p.recordPath(), place.RecordMode, bytes.NewReader(r.Encode()))
}

// Record reads the payload's record.
func (p Payload) Record() (*record.Record, error) {
	r, err := record.Read(p.recordPath())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no payload in %s: install has not run in this pod", p)
	}
	return r, err
}
