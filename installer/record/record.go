// Package record is the ownership record that lies beside a published driver. It answers whose the
// driver is and which pod's guard may repair it; nothing else on the node remembers that.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"flexvolume.io/installer/hostfs"
)

// Name of the file; the kubelet ignores names that begin with a dot, so writing it wakes nobody.
const Name = ".flexvolume.json"

// Version of the record's shape.
const Version = 1

const maxBytes = 64 << 10

// Record is the file's content.
type Record struct {
	V          int      `json:"v"`
	FlexDriver string   `json:"flexDriver"`
	UID        string   `json:"uid"`
	Revision   string   `json:"revision"`
	SHA256     string   `json:"sha256"`
	Files      []string `json:"files"`
	InstallID  string   `json:"installID"` // uid of the pod that published, whose guard repairs
	BootID     string   `json:"bootID"`
	// InstalledAt is when this content was published, VerifiedAt when install last ended well.
	InstalledAt time.Time `json:"installedAt"`
	VerifiedAt  time.Time `json:"verifiedAt"`
}

// ErrUnreadable is the answer to a record that is there but says nothing.
var ErrUnreadable = errors.New("not a readable ownership record")

// Read reads the record at path; os.ErrNotExist or ErrUnreadable when there is none to go by.
func Read(path string) (*Record, error) {
	file, err := hostfs.OpenRegular(path)
	if errors.Is(err, hostfs.ErrNotRegular) {
		return nil, fmt.Errorf("%s: %w", path, ErrUnreadable)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxBytes))
	if err != nil {
		return nil, err
	}
	return Decode(data)
}

// Decode reads a record's JSON; fields of a newer version are passed over.
func Decode(data []byte) (*Record, error) {
	var r Record
	if json.Unmarshal(data, &r) != nil || r.FlexDriver == "" || r.InstallID == "" {
		return nil, ErrUnreadable
	}
	return &r, nil
}

// Encode gives the file's content.
func (r Record) Encode() []byte {
	r.V = Version
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // only a year beyond 9999 could do this
	}
	return append(data, '\n')
}

// Equal compares whole records.
func (r Record) Equal(other Record) bool { return string(r.Encode()) == string(other.Encode()) }
