package install

import (
	"os"
	"path/filepath"

	"flexvolume.io/installer/nodeproc"
	"flexvolume.io/installer/report"
)

// Role says which program is to find the driver.
type Role string

// Roles.
const (
	ForKubelet           Role = "kubelet"
	ForControllerManager Role = "controller-manager"
)

// confirm asks the node itself, before anything is written, whether its kubelet looks into the
// plugin directory. What a controller-manager says is reported only: in its container the path may be
// another one.
func (r *run) confirm() error {
	seen := nodeproc.Look(r.root, nodeproc.Patience)
	kubelet, manager := seen.Kubelet, seen.ControllerManager
	r.path = seen.Path
	r.report.Kubelet = report.Seen{PluginDir: kubelet.PluginDir, From: kubelet.From}
	r.report.ControllerManager = report.Seen{
		PluginDir: manager.PluginDir, From: manager.From, Container: seen.Contained,
	}
	if r.Force || r.Role != ForKubelet || kubelet.PluginDir == "" || r.same(kubelet.PluginDir) {
		return nil
	}
	return report.Failf(report.DirectoryMismatch,
		"the kubelet looks into %s (%s), not into %s; remove spec.pluginDir or correct it, or the "+
			"operator's pool table; if both are one directory, which cannot be seen from the host, set the "+
			"annotation flexvolume.io/force-plugin-dir", kubelet.PluginDir, kubelet.From, filepath.Clean(r.PluginDir))
}

// same says whether another path of the node leads to the plugin directory, too.
func (r *run) same(other string) bool {
	if filepath.Clean(r.PluginDir) == other {
		return true
	}
	ours, err := r.root.Stat(r.PluginDir)
	if err != nil {
		return false
	}
	theirs, err := r.root.Stat(other)
	return err == nil && os.SameFile(ours, theirs)
}
