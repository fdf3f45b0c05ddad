package remove

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
)

// contents is what lies in the driver's directory beside the executable and the record.
type contents struct {
	extra   []string // recorded files with their recorded content
	foreign []string // everything else; an executable that is not the recorded one, too
}

// mayRemove says nil when what lies in the place is this FlexDriver's, or nobody's.
func mayRemove(now place.Current, names []string, uid, path string) error {
	dir := filepath.Dir(path)
	switch {
	case now.Dir.Kind != place.Directory:
		return report.Failf(report.NotOwner, "%s is no directory, so it was not made by this operator", dir)
	case now.Record == nil && len(names) == 0:
		// A removal that was cut short ends here, and whoever else made it, a kubelet tries an empty
		// directory again and again.
		return nil
	case now.Record == nil:
		return report.Failf(report.NotOwner, "%s has no readable ownership record; it holds %s", dir, listed(names))
	case now.Record.UID != uid:
		return report.Failf(report.NotOwner, "%s belongs to FlexDriver %q with the uid %s, not %s", dir,
			now.Record.FlexDriver, now.Record.UID, uid)
	}
	return nil
}

// sortOut goes by the record. A recorded file with other content is somebody's work.
func sortOut(p place.Place, now place.Current, names []string) (contents, error) {
	var found contents
	recorded := map[string]record.File{}
	if now.Record != nil {
		recorded[p.Driver] = record.File{Name: p.Driver, SHA256: now.Record.SHA256}
		for _, file := range append(slices.Clone(now.Record.Leaving), now.Record.ExtraFiles...) {
			recorded[file.Name] = file
		}
	}
	for _, name := range names {
		ours, err := holds(filepath.Join(p.Dir(), name), recorded[name])
		switch {
		case err != nil:
			return found, err
		case name == record.Name, name == p.Driver && ours:
		case ours:
			found.extra = append(found.extra, name)
		default:
			found.foreign = append(found.foreign, name)
		}
	}
	return found, nil
}

func holds(path string, file record.File) (bool, error) {
	entry, err := place.Look(path)
	if err != nil || file.Name == "" || entry.Kind != place.Regular {
		return false, err
	}
	sum, err := hostfs.HashFile(path)
	return sum == file.SHA256, err
}

// list names what is in the driver's directory.
func list(p place.Place) ([]string, error) {
	entries, err := os.ReadDir(p.Dir())
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

// maxListed keeps messages short.
const maxListed = 5

// listed names the first few.
func listed(names []string) string {
	if len(names) > maxListed {
		names = append(slices.Clone(names[:maxListed]), "...")
	}
	return strings.Join(names, ", ")
}
