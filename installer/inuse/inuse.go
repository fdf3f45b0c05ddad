// Package inuse tells which volumes of a driver a node has: those that a kubelet could not unmount
// any more if the driver went away.
package inuse

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/mountinfo"
)

// Volume is one volume of the driver.
type Volume struct {
	Path string // on the node
	Pod  string // uid; empty for a device mount, which pods share
}

// defaultRoot is where a kubelet keeps its pods unless told otherwise.
const defaultRoot = "/var/lib/kubelet"

// Driver is whose volumes are looked for.
type Driver struct{ Vendor, Name string }

// Find lists the driver's volumes by their paths. Roots are those directories in which the node's
// kubelets are known to keep their pods.
//
// A directory of a volume counts though nothing is mounted on it: the kubelet makes it before it
// calls the driver and removes it after the driver's unmount, and until then needs the driver. Some
// drivers never mount anything, and one just called may be about to. So both are asked: the mount
// tables know every kubelet's root, and the directories what is no mount.
func Find(root hostfs.Root, d Driver, roots []string) ([]Volume, error) {
	points, err := mountPoints(root)
	if err != nil {
		return nil, err
	}
	found := volumes{}
	for _, point := range points {
		found.add(d.volume(point))
	}
	for _, kubelet := range kubeletRoots(points, roots) {
		resolved, err := root.Resolve(kubelet) // as the mount tables name it
		if isNone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		paths, err := d.directories(root, resolved)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			found.add(d.volume(path))
		}
	}
	byPath := func(a, b Volume) int { return strings.Compare(a.Path, b.Path) }
	return slices.SortedFunc(maps.Values(found), byPath), nil
}

// volumes are kept by what they are: where a kubelet's root is a bind mount, each mount below it is
// at two paths.
type volumes map[Volume]Volume

func (all volumes) add(v Volume, known bool) {
	same := Volume{Path: filepath.Base(v.Path), Pod: v.Pod}
	if had, is := all[same]; known && (!is || len(v.Path) < len(had.Path)) {
		all[same] = v
	}
}

// mountPoints are the node's, as paths of the node, from two tables. Our own has below the root
// what the host mounts, also later, if the root is mounted with HostToContainer; without that it
// stands still. The table of the host's first process is always the host's own, but it cannot be
// read everywhere (a root without /proc, hidepid). A mount that only one of them knows counts.
func mountPoints(root hostfs.Root) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	ours, err := mountinfo.Points(table)
	if err != nil {
		return nil, err
	}
	points := below(root, ours)
	table, err = os.ReadFile(root.Real("/proc/1/mountinfo"))
	if err != nil {
		return points, nil
	}
	hosts, err := mountinfo.Points(table)
	return append(points, hosts...), err
}

// below turns paths of this container into those of the node; what is not of the node falls away.
func below(root hostfs.Root, points []string) []string {
	prefix := strings.TrimSuffix(filepath.Clean(string(root)), "/") + "/"
	var kept []string
	for _, point := range points {
		if rest, is := strings.CutPrefix(point, prefix); is {
			kept = append(kept, "/"+rest)
		}
	}
	return kept
}

// volume recognises the driver's volumes below any kubelet's root; what is mounted deeper in a
// volume is that volume.
func (d Driver) volume(path string) (Volume, bool) {
	parts := strings.Split(path, "/")
	for i := range parts {
		if uid, is := d.podVolume(parts[i:]); is {
			return Volume{Path: strings.Join(parts[:i+5], "/"), Pod: uid}, true
		}
		if d.deviceMount(parts[i:]) {
			return Volume{Path: strings.Join(parts[:i+7], "/")}, true
		}
	}
	return Volume{}, false
}

func (d Driver) podVolume(parts []string) (uid string, is bool) {
	if len(parts) < 5 || parts[0] != "pods" || parts[2] != "volumes" || parts[3] != d.Vendor+"~"+d.Name {
		return "", false
	}
	return parts[1], parts[4] != ""
}

func (d Driver) deviceMount(parts []string) bool {
	return len(parts) >= 7 && strings.Join(parts[:6], "/") == d.devices() && parts[6] != ""
}

// devices is the directory of the driver's device mounts, below a kubelet's root.
func (d Driver) devices() string {
	return "plugins/kubernetes.io/flexvolume/" + d.Vendor + "/" + d.Name + "/mounts"
}

// kubeletRoots adds to those that are known the default one and each in which a pod has a volume of
// whatever kind, as nearly every pod has one with a token.
func kubeletRoots(points, known []string) []string {
	roots := append([]string{defaultRoot}, known...)
	for _, point := range points {
		parts := strings.Split(point, "/")
		for i := 1; i+4 < len(parts); i++ {
			if parts[i] == "pods" && parts[i+2] == "volumes" {
				roots = append(roots, filepath.Clean(strings.Join(parts[:i], "/")+"/"))
			}
		}
	}
	slices.Sort(roots)
	return slices.Compact(roots)
}

// directories are those of the driver's volumes below one kubelet's root. None of them is opened:
// a volume whose server is gone would keep who asks.
func (d Driver) directories(root hostfs.Root, kubelet string) ([]string, error) {
	pods := filepath.Join(kubelet, "pods")
	uids, err := names(root, pods)
	if err != nil {
		return nil, err
	}
	parents := []string{filepath.Join(kubelet, d.devices())}
	for _, uid := range uids {
		parents = append(parents, filepath.Join(pods, uid, "volumes", d.Vendor+"~"+d.Name))
	}
	var paths []string
	for _, parent := range parents {
		volumes, err := names(root, parent)
		if err != nil {
			return nil, err
		}
		for _, volume := range volumes {
			paths = append(paths, filepath.Join(parent, volume))
		}
	}
	return paths, nil
}

// names lists a directory of the node; one that is not there has none.
func names(root hostfs.Root, dir string) ([]string, error) {
	resolved, err := root.Resolve(dir)
	if err == nil {
		var opened *os.File
		if opened, err = os.Open(root.Real(resolved)); err == nil {
			defer opened.Close()
			return opened.Readdirnames(-1)
		}
	}
	if isNone(err) {
		return nil, nil
	}
	return nil, err
}

func isNone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
