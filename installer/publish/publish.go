package publish

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/stage"
)

// Put publishes the staged driver with its record and says whether the executable was written.
// The plugin directory's lock is held, and now is what was found under it.
//
// The record goes first, the executable second. Killed in between, a complete executable of the
// old version serves, and the record's sha256 differs from it, which the next run of install sees
// and finishes. The other order would leave the new version under the old pod's record, and that
// pod's guard would put the old version back: ownership must change hands before content does.
func Put(p place.Place, s *stage.Stage, now place.Current, r record.Record) (changed bool, err error) {
	if err := s.PutRecord(r); err != nil {
		return false, err
	}
	if now.Dir.Kind == place.Absent {
		return true, putNew(p, s)
	}
	if err := closeDir(p, now); err != nil {
		return false, err
	}
	if err := move(s.Record(), p.Record()); err != nil {
		return false, err
	}
	if now.Holds(r.SHA256) && now.Exec.RootOwned() {
		return false, refresh(p, now)
	}
	if err := move(s.Driver(), p.Exec()); err != nil {
		return false, errors.Join(err, restore(p, s, now.Record))
	}
	return true, nil
}

// putNew makes the driver's directory. It is never done over an existing one, though rename(2)
// takes an empty one: older kubelets hear of the replaced directory's end after the arrival of the
// new one, and drop the driver.
func putNew(p place.Place, s *stage.Stage) error {
	if s.Dir() != "" {
		err := hostfs.Rename(s.Dir(), p.Dir())
		if err == nil {
			err = hostfs.SyncDir(filepath.Dir(s.Dir()))
		}
		return errors.Join(err, hostfs.SyncDir(p.PluginDir))
	}
	// From here on a kubelet may look for the driver at any time, so the disk has to wait.
	if err := os.Mkdir(p.Dir(), place.DirMode); err != nil {
		return err
	}
	err := hostfs.Rename(s.Record(), p.Record())
	if err == nil {
		err = hostfs.Rename(s.Driver(), p.Exec())
	}
	if err != nil {
		_ = os.Remove(p.Record())
		return errors.Join(err, os.Remove(p.Dir())) // a kubelet would try an empty one for ever
	}
	return errors.Join(hostfs.SyncDir(p.Dir()), hostfs.SyncDir(p.PluginDir))
}

// closeDir takes write permission from everybody but root.
func closeDir(p place.Place, now place.Current) error {
	if mode := SafeDirMode(now.Dir.Mode); mode != now.Dir.Mode {
		return os.Chmod(p.Dir(), mode)
	}
	return nil
}

// SafeDirMode keeps what an administrator chose as far as root can search and only root can write.
func SafeDirMode(mode os.FileMode) os.FileMode { return mode&^0o022 | 0o700 }

// refresh leaves the content alone. The touch matters: a kubelet whose own init of this driver
// failed at its start tries again only when something happens to the file.
func refresh(p place.Place, now place.Current) error {
	if now.Exec.Mode != place.DriverMode {
		if err := os.Chmod(p.Exec(), place.DriverMode); err != nil {
			return err
		}
	}
	at := time.Now()
	return os.Chtimes(p.Exec(), at, at)
}

// restore puts the old record back when the executable could not follow the new one.
func restore(p place.Place, s *stage.Stage, old *record.Record) error {
	if old == nil {
		return os.Remove(p.Record())
	}
	return PutRecord(p, s, *old)
}

// PutRecord publishes a record alone; the kubelet does not notice.
func PutRecord(p place.Place, s *stage.Stage, r record.Record) error {
	if err := s.PutRecord(r); err != nil {
		return err
	}
	return move(s.Record(), p.Record())
}

// move renames into the driver's directory and brings that to disk.
func move(from, to string) error {
	err := hostfs.Rename(from, to)
	if errors.Is(err, syscall.EISDIR) {
		// An empty directory in the way is nobody's; one with content is left to a person.
		if err = syscall.Rmdir(to); err == nil {
			err = hostfs.Rename(from, to)
		}
	}
	if err != nil {
		return err
	}
	return hostfs.SyncDir(filepath.Dir(to))
}
