// Package place describes where one driver lies in a plugin directory and what lies there now.
package place

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
)

// Modes of what is published.
const (
	DirMode    = 0o755
	DriverMode = 0o755
	RecordMode = 0o644
)

// Place is a driver's home; PluginDir is the path by which this process reaches the directory.
type Place struct {
	PluginDir string
	Vendor    string
	Driver    string
}

// Name of the driver's directory.
func (p Place) Name() string { return p.Vendor + "~" + p.Driver }

// Dir is the driver's directory.
func (p Place) Dir() string { return filepath.Join(p.PluginDir, p.Name()) }

// Exec is the driver's executable.
func (p Place) Exec() string { return filepath.Join(p.Dir(), p.Driver) }

// Record is the ownership record.
func (p Place) Record() string { return filepath.Join(p.Dir(), record.Name) }

// File is a file beside the executable.
func (p Place) File(name string) string { return filepath.Join(p.Dir(), name) }

// Kind of what lies at a path.
type Kind int

// Kinds.
const (
	Absent Kind = iota
	Directory
	Regular
	Other
)

// Entry is one path as found; links are not followed.
type Entry struct {
	Kind Kind
	Type fs.FileMode // type bits
	Mode fs.FileMode // permission bits with set-id and sticky bits
	UID  uint32
	GID  uint32
}

// What names the kind for people.
func (e Entry) What() string {
	switch {
	case e.Kind == Absent:
		return "nothing"
	case e.Kind == Regular:
		return "a file"
	case e.Kind == Directory:
		return "a directory"
	case e.Type&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return "a special file"
}

// RootOwned says that nobody but root owns it.
func (e Entry) RootOwned() bool { return e.UID == 0 && e.GID == 0 }

// Found is a file beside the executable as found; SHA256 is empty when it is no regular file.
type Found struct {
	Entry
	SHA256 string
}

// Holds says that it has this content.
func (f Found) Holds(sha256 string) bool { return f.Kind == Regular && f.SHA256 == sha256 }

// Current is what lies in the place.
type Current struct {
	Dir    Entry
	Exec   Entry
	SHA256 string           // of the executable, when it is a regular file
	Record *record.Record   // nil when missing or unreadable
	Files  map[string]Found // beside the executable, those that were asked for
}

// Executable is the published one.
func (c Current) Executable() Found { return Found{Entry: c.Exec, SHA256: c.SHA256} }

// Holds says that the published executable has this content.
func (c Current) Holds(sha256 string) bool { return c.Executable().Holds(sha256) }

// Serving is the answer to "what does a kubelet find there".
func (c Current) Serving() report.Serving {
	serving := report.Serving{SHA256: c.SHA256}
	if c.Record != nil && c.SHA256 != "" && c.Record.SHA256 == c.SHA256 {
		serving.Revision = c.Record.Revision
	}
	return serving
}

// Inspect looks at the place, hashing the executable.
func (p Place) Inspect() (Current, error) { return p.InspectWith(hostfs.HashFile) }

// InspectWith does so with another way to get a file's SHA-256.
func (p Place) InspectWith(hash Hasher) (Current, error) {
	var now Current
	var err error
	if now.Dir, err = Look(p.Dir()); err != nil || now.Dir.Kind != Directory {
		return now, err
	}
	if now.Exec, err = Look(p.Exec()); err != nil {
		return now, err
	}
	if now.Exec.Kind == Regular {
		if now.SHA256, err = hash(p.Exec()); err != nil {
			return now, err
		}
	}
	now.Record, err = record.Read(p.Record())
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, record.ErrUnreadable) {
		err = nil
	}
	return now, err
}

// Hasher gives a file's SHA-256.
type Hasher func(path string) (string, error)

// Beside looks at files beside the executable.
func (p Place) Beside(names []string, hash Hasher) (map[string]Found, error) {
	files := make(map[string]Found, len(names))
	for _, name := range names {
		entry, err := Look(p.File(name))
		if err != nil {
			return nil, err
		}
		found := Found{Entry: entry}
		if entry.Kind == Regular {
			if found.SHA256, err = hash(p.File(name)); err != nil {
				return nil, err
			}
		}
		files[name] = found
	}
	return files, nil
}

// Look describes a path.
func Look(path string) (Entry, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return Entry{Kind: Absent}, nil
	}
	if err != nil {
		return Entry{}, err
	}
	entry := Entry{Kind: Other, Type: info.Mode().Type(), Mode: info.Mode() &^ fs.ModeType}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		entry.UID, entry.GID = stat.Uid, stat.Gid
	}
	switch {
	case info.IsDir():
		entry.Kind = Directory
	case info.Mode().IsRegular():
		entry.Kind = Regular
	}
	return entry, nil
}
