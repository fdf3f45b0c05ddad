package stage

import (
	"strings"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
)

// others are directories of a node in which a program can usually be put and run for a moment.
var others = []string{"/run", "/var/lib", "/tmp"}

// shortly is how long to wait for a lock in a directory that is not the only choice.
const shortly = time.Second

// elsewhere lists where init may run when it cannot run beside the plugin directory.
func (w Where) elsewhere() []string {
	var found []string
	for _, dir := range append([]string{w.parent()}, others...) {
		if real, err := w.Root.Resolve(dir); err == nil && real != w.PluginDir {
			found = append(found, real)
		}
	}
	return found
}

// openElsewhere makes a stage that is never renamed, in the first directory that will do.
func openElsewhere(w Where) (*Stage, error) {
	for _, dir := range w.elsewhere() {
		mount, err := hostfs.MountOf(w.Root.Real(dir))
		if err != nil || mount.ReadOnly || mount.NoExec {
			continue
		}
		if s, err := openIn(w, dir, shortly, openDir); err == nil {
			return s, nil
		}
	}
	return nil, report.Failf(report.PublishFailed, "%s is a mount of its own, and init has to run with the "+
		"driver's files beside it: none of %s is on a mount that can be written and executed from",
		w.PluginDir, strings.Join(w.elsewhere(), ", "))
}

// sweepElsewhere removes what dead runs left there, as far as that can be done without waiting.
func sweepElsewhere(w Where) {
	if w.InPluginDir {
		return
	}
	for _, dir := range w.elsewhere() {
		real := w.Root.Real(dir)
		_ = locked(real, 0, func() error { return sweep(real) })
	}
}
