package publish

import (
	"errors"
	"os"
	"slices"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/stage"
)

// Look inspects the place with the files that are wanted beside the executable and those that its
// record names.
func Look(p place.Place, wanted []record.File, hash place.Hasher) (place.Current, error) {
	now, err := p.InspectWith(hash)
	if err != nil || now.Dir.Kind != place.Directory {
		return now, err
	}
	names := record.Record{ExtraFiles: wanted}
	names.Supersede(now.Record)
	now.Files, err = p.Beside(names.Names(), hash)
	return now, err
}

// putFiles replaces what differs; when it cannot, files that were not there are taken away again.
func putFiles(p place.Place, s *stage.Stage, now place.Current, wanted []record.File) (changed bool, err error) {
	for _, file := range wanted {
		did, err := putOne(s.File(file.Name), p.File(file.Name), now.Files[file.Name], file.SHA256, file.Perm())
		changed = changed || did
		if err != nil {
			unmake(p, now, wanted)
			return changed, err
		}
	}
	return changed, nil
}

// unmake takes away the files that were not there before.
func unmake(p place.Place, now place.Current, wanted []record.File) {
	for _, file := range wanted {
		if now.Files[file.Name].Kind == place.Absent {
			_ = os.Remove(p.File(file.Name))
		}
	}
}

// removeLeft removes the files that left the list. What somebody has changed meanwhile is theirs.
func removeLeft(p place.Place, now place.Current, r record.Record) (changed bool, err error) {
	for _, file := range r.Leaving {
		stays := slices.ContainsFunc(r.ExtraFiles, func(other record.File) bool { return other.Name == file.Name })
		if stays || !now.Files[file.Name].Holds(file.SHA256) {
			continue
		}
		if err := os.Remove(p.File(file.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return changed, err
		}
		changed = true
	}
	if !changed {
		return false, nil
	}
	return true, hostfs.SyncDir(p.Dir())
}
