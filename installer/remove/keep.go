package remove

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
)

// backup is a directory beside the plugin directory, where no kubelet looks.
const backup = ".flexvolume-backup"

// keep moves out what others put into the driver's directory. It cannot stay, as a kubelet tries a
// directory without its executable for ever, and it is not ours to delete. To refuse would stop the
// removal on each node where a driver writes a log beside itself. It is refused where nothing can be
// moved out, because the plugin directory is a mount of its own or the place beside it is read-only;
// then nothing has been removed yet.
func (r *run) keep(names []string) error {
	if len(names) == 0 {
		return nil
	}
	moment := time.Now().UTC().Format("20060102T150405.000000Z")
	into := filepath.Join(filepath.Dir(r.dir), backup, r.place.Name(), moment)
	if err := r.moveTo(r.root.Real(into), names); err != nil {
		_ = os.Remove(r.root.Real(into)) // if nothing is in it
		return report.Failf(report.NotOwner, "%s holds what this operator did not install, and it cannot be moved to %s (%v): %s",
			filepath.Dir(r.report.Path), into, err, listed(names))
	}
	if r.report.Message != "" {
		r.report.Message += "; "
	}
	r.report.Message += fmt.Sprintf("moved to %s, as this operator did not install it: %s", into, listed(names))
	return nil
}

func (r *run) moveTo(dir string, names []string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range names {
		if err := r.moveOut(name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return hostfs.SyncDir(dir)
}

// moveOut renames, but not an executable, if that can be helped: a kubelet takes it for a change of
// the driver. A second name for it can be helped except of a file of another owner.
func (r *run) moveOut(name, to string) error {
	from := filepath.Join(r.place.Dir(), name)
	if name == r.Driver && os.Link(from, to) == nil {
		return nil // takeAway removes the first name
	}
	return hostfs.Rename(from, to)
}
