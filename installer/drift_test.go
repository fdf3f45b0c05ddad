package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
)

// whole says that the place is as install left it.
func (n *node) whole(want string) bool {
	now, err := place.Place{PluginDir: n.plugins(), Vendor: vendor, Driver: driver}.Inspect()
	return err == nil && now.Holds(want) && now.Exec.Mode == 0o755 && now.Exec.RootOwned() &&
		now.Record != nil && now.Dir.Mode&0o022 == 0 && n.wholeFiles(now.Record)
}

func (n *node) wholeFiles(r *record.Record) bool {
	files, err := place.Place{PluginDir: n.plugins(), Vendor: vendor, Driver: driver}.Beside(r.Names(), hostfs.HashFile)
	for _, file := range r.ExtraFiles {
		found := files[file.Name]
		if !found.Holds(file.SHA256) || !found.RootOwned() || found.Mode != file.Perm() {
			return false
		}
	}
	return err == nil
}

// drifts are what people and tools do to an installed driver.
var drifts = map[string]func(n *node) error{
	"deleted":   func(n *node) error { return os.Remove(n.exec()) },
	"truncated": func(n *node) error { return os.Truncate(n.exec(), 10) },
	"overwritten in place": func(n *node) error {
		return os.WriteFile(n.exec(), []byte("#!/bin/sh\n"), 0o755)
	},
	"replaced": func(n *node) error {
		other := filepath.Join(n.root, "other")
		if err := os.WriteFile(other, []byte("x"), 0o755); err != nil {
			return err
		}
		return os.Rename(other, n.exec())
	},
	"chmod":            func(n *node) error { return os.Chmod(n.exec(), 0o644) },
	"set-user-id":      func(n *node) error { return os.Chmod(n.exec(), 0o755|os.ModeSetuid) },
	"chown":            func(n *node) error { return os.Chown(n.exec(), 1000, 1000) },
	"renamed away":     func(n *node) error { return os.Rename(n.exec(), n.exec()+".bak") },
	"linked elsewhere": func(n *node) error { os.Remove(n.exec()); return os.Symlink("/bin/sh", n.exec()) },
	"replaced by an empty directory": func(n *node) error {
		os.Remove(n.exec())
		return os.Mkdir(n.exec(), 0o755)
	},
	"directory removed": func(n *node) error { return os.RemoveAll(n.dir()) },
	"directory renamed": func(n *node) error { return os.Rename(n.dir(), n.root+"/moved") },
	"directory replaced by a link": func(n *node) error {
		if err := os.Rename(n.dir(), n.root+"/moved"); err != nil {
			return err
		}
		return os.Symlink("/moved", n.dir())
	},
	"directory writable": func(n *node) error { return os.Chmod(n.dir(), 0o777) },
	"record removed":     func(n *node) error { return os.Remove(filepath.Join(n.dir(), record.Name)) },
	"record garbled":     func(n *node) error { return os.WriteFile(filepath.Join(n.dir(), record.Name), []byte("{"), 0o644) },
	"record a named pipe": func(n *node) error {
		path := filepath.Join(n.dir(), record.Name)
		os.Remove(path)
		return syscall.Mkfifo(path, 0o644)
	},
	"file and record gone": func(n *node) error { os.Remove(filepath.Join(n.dir(), record.Name)); return os.Remove(n.exec()) },
	"other file deleted":   func(n *node) error { return os.Remove(n.beside("jq")) },
	"other file overwritten": func(n *node) error {
		return os.WriteFile(n.beside("conf"), []byte("#"), 0o755)
	},
	"other file replaced": func(n *node) error { os.Remove(n.beside("jq")); return os.WriteFile(n.beside("jq"), nil, 0o755) },
	"other file's mode":   func(n *node) error { return os.Chmod(n.beside("conf"), 0o644) },
	"other file's owner":  func(n *node) error { return os.Chown(n.beside("conf"), 1000, 0) },
	"other file renamed":  func(n *node) error { return os.Rename(n.beside("jq"), n.root+"/moved") },
	"other file linked":   func(n *node) error { os.Remove(n.beside("jq")); return os.Symlink("/bin/sh", n.beside("jq")) },
	"all but the record gone": func(n *node) error {
		return errors.Join(os.Remove(n.exec()), os.Remove(n.beside("jq")), os.Remove(n.beside("conf")))
	},
}
