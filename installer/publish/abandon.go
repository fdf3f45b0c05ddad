package publish

import (
	"errors"
	"os"
	"slices"

	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
)

// Abandon removes the driver's directory if it has no executable and holds nothing but what the
// FlexDriver put there: a kubelet would try such a directory at every lookup, for ever. That it goes
// also ends what a kubelet still has registered under the name. The plugin directory's lock is held.
func Abandon(p place.Place, now place.Current, flexDriver string) error {
	if now.Dir.Kind != place.Directory || now.Exec.Kind != place.Absent {
		return nil
	}
	ours := record.Record{}
	if now.Record != nil {
		ours = *now.Record
		if ours.FlexDriver != flexDriver {
			return nil
		}
	}
	entries, err := os.ReadDir(p.Dir())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != record.Name && !published(now.Files[entry.Name()], entry.Name(), ours) {
			return nil
		}
	}
	for _, entry := range entries {
		err = errors.Join(err, os.Remove(p.File(entry.Name())))
	}
	return errors.Join(err, os.Remove(p.Dir()))
}

// published says that a file has a content that the record knows.
func published(found place.Found, name string, r record.Record) bool {
	for _, file := range slices.Concat(r.ExtraFiles, r.Leaving) {
		if file.Name == name && found.Holds(file.SHA256) {
			return true
		}
	}
	return false
}
