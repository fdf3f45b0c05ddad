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

// Put publishes what is staged with its record and says whether anything but the record was written.
// The plugin directory's lock is held, and now is what Look found under it.
func Put(p place.Place, s *stage.Stage, now place.Current, r record.Record) (changed bool, err error) {
	changed, err = Mend(p, s, now, r)
	if err != nil || changed {
		return changed, err
	}
	// The touch matters: a kubelet whose own init of this driver failed at its start tries again only
	// when something happens to the file.
	at := time.Now()
	return false, os.Chtimes(p.Exec(), at, at)
}

// Mend makes the place hold what the record says, and writes nothing that is right already: a
// kubelet runs init again for every file that changes.
//
// In a directory that is there, the record goes first, the other files second, the executable third. Killed in between, a complete
// executable of the old version serves, and the record's sha256 differs from it, which the next run
// of install sees and finishes. The other order would leave the new version under the old pod's
// record, and that pod's guard would put the old version back, and files that no record names: they
// would be a stranger's. So ownership changes hands before content does. Files that left go last,
// when the executable that needed them has been replaced; until then the record says that they do.
func Mend(p place.Place, s *stage.Stage, now place.Current, r record.Record) (changed bool, err error) {
	if now.Dir.Kind == place.Absent {
		return true, putNew(p, s, r)
	}
	first := r
	first.Supersede(now.Record)
	if err := closeDir(p, now); err != nil {
		return false, err
	}
	if now.Record == nil || !now.Record.Equal(first) {
		if err := PutRecord(p, s, first); err != nil {
			return false, err
		}
	}
	changed, err = putContent(p, s, now, r)
	if err != nil {
		return changed, errors.Join(err, restore(p, s, now.Record, first))
	}
	if len(first.Leaving) == 0 {
		return changed, nil
	}
	left, err := removeLeft(p, now, first)
	if err != nil {
		return changed || left, err
	}
	return changed || left, PutRecord(p, s, r)
}

// putContent replaces what differs.
func putContent(p place.Place, s *stage.Stage, now place.Current, r record.Record) (changed bool, err error) {
	changed, err = putFiles(p, s, now, r.ExtraFiles)
	if err != nil {
		return changed, err
	}
	did, err := putOne(s.Driver(), p.Exec(), now.Executable(), r.SHA256, place.DriverMode)
	if err != nil {
		unmake(p, now, r.ExtraFiles)
	}
	return changed || did, err
}

// Replaces says that a file is to be replaced, not only its mode to be set.
func Replaces(now place.Found, sha256 string) bool { return !now.Holds(sha256) || !now.RootOwned() }

// putOne makes one file be what is wanted.
func putOne(staged, path string, now place.Found, sha256 string, mode os.FileMode) (changed bool, err error) {
	if Replaces(now, sha256) {
		return true, move(staged, path)
	}
	if now.Mode != mode {
		return false, os.Chmod(path, mode)
	}
	return false, nil
}

// putNew makes the driver's directory. It is never done over an existing one, though rename(2)
// takes an empty one: older kubelets hear of the replaced directory's end after the arrival of the
// new one, and drop the driver.
func putNew(p place.Place, s *stage.Stage, r record.Record) error {
	if err := s.PutRecord(r); err != nil {
		return err
	}
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
	for _, file := range r.ExtraFiles {
		if err == nil {
			err = hostfs.Rename(s.File(file.Name), p.File(file.Name))
		}
	}
	if err == nil {
		err = hostfs.Rename(s.Driver(), p.Exec())
	}
	if err != nil {
		unmake(p, place.Current{}, r.ExtraFiles)
		_ = os.Remove(p.Record())
		return errors.Join(err, os.Remove(p.Dir())) // a kubelet would try one without executable for ever
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

// restore puts the old record back when the content could not follow the new one. What has been
// published of it all the same is ours.
func restore(p place.Place, s *stage.Stage, old *record.Record, attempted record.Record) error {
	if old == nil {
		return os.Remove(p.Record())
	}
	back := *old
	back.Supersede(&attempted)
	return PutRecord(p, s, back)
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
