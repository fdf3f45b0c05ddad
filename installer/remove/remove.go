// Package remove takes a driver away from a node: only what the ownership record says was published
// there, only for the FlexDriver whose record it is, and only when no volume needs the driver. It
// leaves kubelet and controller-manager without a word to say, and can be run again at any point.
package remove

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/selinux"
	"flexvolume.io/installer/stage"
)

// Options are the flags of remove.
type Options struct {
	Host          string
	PluginDir     string
	Vendor        string
	Driver        string
	FlexDriverUID string
}

type run struct {
	Options
	root   hostfs.Root
	dir    string // the plugin directory as a path of the node without links, "" if there is none
	place  place.Place
	report report.Report
}

// Run removes and reports. It never panics: whatever happens has to reach the operator.
func Run(o Options) report.Report {
	r := &run{Options: o, root: hostfs.Root(o.Host)}
	r.report = report.Report{
		Component: report.Remove,
		Result:    report.Removed,
		Path:      place.Place{PluginDir: filepath.Clean(o.PluginDir), Vendor: o.Vendor, Driver: o.Driver}.Exec(),
	}
	if err := report.Safely(r.steps); err != nil {
		r.report.Fail(selinux.Name(report.AsFailure(err), r.root))
		_ = report.Safely(r.serving)
	}
	return r.report
}

// serving tells people what a kubelet finds after a failure.
func (r *run) serving() error {
	if r.dir == "" {
		return nil
	}
	now, err := r.place.Inspect()
	r.report.Serving = now.Serving()
	return err
}

func (r *run) steps() error {
	var err error
	if r.report.BootID, err = hostfs.BootID(r.Host); err != nil {
		return err
	}
	if err := r.locate(); err != nil || r.dir == "" {
		return err
	}
	if err := stage.Clean(r.root, r.dir, place.Patience); err != nil {
		return report.FromHost(err, "sweeping stages")
	}
	lock, err := place.Lock(r.place.PluginDir, place.Patience)
	if err != nil {
		return report.FromHost(err, "removing the driver")
	}
	defer lock.Close()
	return r.underLock()
}

// locate finds the plugin directory; where there is none there is nothing to remove.
func (r *run) locate() error {
	if err := r.root.Mounted(); err != nil {
		return err
	}
	dir, err := r.root.Resolve(r.PluginDir)
	if hostfs.LeadsNowhere(err) {
		return nil
	}
	if err != nil {
		return report.FromHost(err, "reading the plugin directory")
	}
	found, err := place.Look(r.root.Real(dir))
	if err == nil && found.Kind == place.Directory {
		r.dir = dir
		r.place = place.Place{PluginDir: r.root.Real(dir), Vendor: r.Vendor, Driver: r.Driver}
	}
	return report.FromHost(err, "reading the plugin directory")
}

func (r *run) underLock() error {
	now, err := r.place.Inspect()
	if err != nil {
		return report.FromHost(err, "reading what is installed")
	}
	if now.Dir.Kind == place.Absent {
		return report.FromHost(r.endRegistration(), "ending a registration")
	}
	var names []string
	if now.Dir.Kind == place.Directory {
		if names, err = list(r.place); err != nil {
			return report.FromHost(err, "reading what is installed")
		}
	}
	if err := mayRemove(now, names, r.FlexDriverUID, r.report.Path); err != nil {
		return err
	}
	found, err := sortOut(r.place, now, names)
	if err != nil {
		return report.FromHost(err, "reading what is installed")
	}
	if len(names) > 0 {
		if err := r.unused(); err != nil {
			return err
		}
	}
	if err := r.keep(found.foreign); err != nil {
		return err
	}
	r.report.Changed = true
	if now.Record != nil && now.Holds(now.Record.SHA256) {
		r.report.SHA256 = now.SHA256
	}
	return report.FromHost(r.takeAway(found), "removing the driver")
}

// takeAway removes what is ours. The order is what keeps a kubelet silent: of a directory it only
// remembers the last event, and that must be the end of the executable or of the directory itself;
// after any other it would try to load the driver. All at once, as between any two steps a starting
// pod makes it look. The record goes when nothing else is left: until then the next run needs it.
func (r *run) takeAway(found contents) error {
	paths := []string{}
	for _, name := range found.extra {
		paths = append(paths, filepath.Join(r.place.Dir(), name))
	}
	for _, path := range append(paths, r.place.Exec(), r.place.Record()) {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := r.removeDir(); err != nil {
		return err
	}
	return hostfs.SyncDir(r.place.PluginDir)
}

// removeDir does so also when a driver that was just called has written a file beside itself.
func (r *run) removeDir() error {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		err := syscall.Rmdir(r.place.Dir())
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.ENOTEMPTY) || attempt == attempts {
			return &os.PathError{Op: "rmdir", Path: r.place.Dir(), Err: err}
		}
		names, err := list(r.place)
		if err != nil {
			return err
		}
		if err := r.keep(names); err != nil {
			return err
		}
	}
}

// endRegistration makes kubelets forget a driver whose directory was renamed away by somebody: they
// take that for a change of the driver and try to load it for ever, until the directory comes and
// goes (measured). Whether they do cannot be seen from here, and to others it means nothing. A plugin
// directory that cannot be written has no such kubelet.
func (r *run) endRegistration() error {
	if os.Mkdir(r.place.Dir(), place.DirMode) != nil {
		return nil
	}
	return os.Remove(r.place.Dir())
}
