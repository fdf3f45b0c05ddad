// Package record is the ownership record that lies beside a published driver. It answers whose the
// driver is and which pod's guard may repair it; nothing else on the node remembers that.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
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
	V          int    `json:"v"`
	FlexDriver string `json:"flexDriver"`
	UID        string `json:"uid"`
	Revision   string `json:"revision"`
	SHA256     string `json:"sha256"` // of the executable
	// ExtraFiles lie beside the executable. Leaving is what older revisions published there: those
	// whose name is not in ExtraFiles go as soon as the executable that needed them is replaced.
	ExtraFiles []File `json:"extraFiles,omitempty"`
	Leaving    []File `json:"leaving,omitempty"`
	InstallID  string `json:"installID"` // uid of the pod that published, whose guard repairs
	BootID     string `json:"bootID"`
	// InstalledAt is when this content was published, VerifiedAt when install last ended well.
	InstalledAt time.Time `json:"installedAt"`
	VerifiedAt  time.Time `json:"verifiedAt"`
}

// File is one file that was published beside the executable.
type File struct {
	Name   string `json:"name"` // no path: it lies in the driver's directory
	Mode   string `json:"mode"` // octal, as in "0755"
	SHA256 string `json:"sha256"`
}

// FileOf makes a File.
func FileOf(name string, mode os.FileMode, sha256 string) File {
	return File{Name: name, Mode: fmt.Sprintf("%04o", mode), SHA256: sha256}
}

// Perm is the mode as a number; of a record that says none, what only root can read.
func (f File) Perm() os.FileMode {
	mode, err := strconv.ParseUint(f.Mode, 8, 9)
	if err != nil {
		return 0o600
	}
	return os.FileMode(mode)
}

// Is says that both are the same content under the same name.
func (f File) Is(other File) bool { return f.Name == other.Name && f.SHA256 == other.SHA256 }

// Names of all files that lie or may lie beside the executable.
func (r Record) Names() []string {
	var names []string
	for _, file := range slices.Concat(r.ExtraFiles, r.Leaving) {
		if !slices.Contains(names, file.Name) {
			names = append(names, file.Name)
		}
	}
	return names
}

// Supersede notes in Leaving what the old record names and this one does not.
func (r *Record) Supersede(old *Record) {
	if old == nil {
		return
	}
	r.Leaving = slices.Clone(r.Leaving)
	for _, file := range slices.Concat(old.ExtraFiles, old.Leaving) {
		if !slices.ContainsFunc(slices.Concat(r.ExtraFiles, r.Leaving), file.Is) {
			r.Leaving = append(r.Leaving, file)
		}
	}
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
	r.ExtraFiles = slices.DeleteFunc(r.ExtraFiles, leadsOut)
	r.Leaving = slices.DeleteFunc(r.Leaving, leadsOut)
	return &r, nil
}

// leadsOut says that a file does not lie beside the executable, whatever wrote that.
func leadsOut(f File) bool {
	return strings.HasPrefix(f.Name, ".") || strings.Contains(f.Name, "/") || f.Name == ""
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
