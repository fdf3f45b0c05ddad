package install

import (
	"errors"
	"os"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/report"
)

var errNoDirectory = errors.New("not a directory")

func isDirectory(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return errNoDirectory
	}
	return err
}

// isNone says that a path leads to no directory at all.
func isNone(err error) bool {
	return hostfs.LeadsNowhere(err) || errors.Is(err, errNoDirectory)
}

// absence is what it means that there is no such directory.
var absence = map[Role]string{
	ForKubelet: "a kubelet makes its plugin directory when it starts, so this is not the kubelet's: " +
		"set spec.pluginDir or the operator's --volume-plugin-dir to the directory the kubelet uses",
	ForControllerManager: "make it, or let the hostPath volume of kube-controller-manager's manifest have " +
		"the type DirectoryOrCreate",
}

// locate finds the plugin directory on the node; it is never made here.
func (r *run) locate() error {
	if err := r.root.Mounted(); err != nil {
		return err
	}
	dir, err := r.root.Resolve(r.PluginDir)
	if err == nil {
		err = isDirectory(r.root.Real(dir))
	}
	if isNone(err) {
		return report.Failf(report.PluginDirNotFound, "%s: %v; %s", r.PluginDir, err, absence[r.Role])
	}
	if err != nil {
		return report.FromHost(err, "reading the plugin directory")
	}
	mount, err := hostfs.MountOf(r.root.Real(dir))
	switch {
	case err != nil:
		return report.FromHost(err, "reading the plugin directory")
	case mount.ReadOnly:
		return report.Failf(report.PluginDirReadOnly,
			"%s is on a read-only mount; give the kubelet a volumePluginDir that can be written", r.PluginDir)
	case mount.NoExec:
		return report.Failf(report.PluginDirNoExec,
			"%s is on a mount with noexec, from which the kubelet cannot run a driver; remount it with exec "+
				"or give the kubelet another volumePluginDir", r.PluginDir)
	}
	r.dir = dir
	r.place = place.Place{PluginDir: r.root.Real(dir), Vendor: r.Vendor, Driver: r.Driver}
	return nil
}
