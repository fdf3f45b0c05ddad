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

func (p Payload) recordPath() string { return filepath.Join(string(p), "record.json") }

// PutDriver copies the driver into the payload and returns its SHA-256.
func (p Payload) PutDriver(from string) (string, error) {
	if err := os.MkdirAll(string(p), 0o755); err != nil {
		return "", err
	}
	file, err := hostfs.OpenRegular(from)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return hostfs.ReplaceHashed(p.Driver(), place.DriverMode, file)
}

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
