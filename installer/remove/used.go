package remove

import (
	"fmt"
	"slices"

	"flexvolume.io/installer/inuse"
	"flexvolume.io/installer/nodeproc"
	"flexvolume.io/installer/report"
)

// maxPods of those that have volumes are reported; the message has their number. More would push
// everything else out of the report.
const maxPods = 16

// unused refuses while the node has volumes of the driver.
func (r *run) unused() error {
	driver := inuse.Driver{Vendor: r.Vendor, Name: r.Driver}
	volumes, err := inuse.Find(r.root, driver, nodeproc.KubeletRoots(r.root, nodeproc.Patience))
	if err != nil {
		return report.FromHost(err, "looking for volumes of the driver")
	}
	if len(volumes) == 0 {
		return nil
	}
	pods, names := usedBy(volumes), inuse.PodNames(r.root)
	r.report.Pods = pods[:min(len(pods), maxPods)]
	return report.Failf(report.VolumesMounted, "%s", inWords(volumes, pods, names))
}

// usedBy lists the uids of the pods once each.
func usedBy(volumes []inuse.Volume) []string {
	var pods []string
	for _, v := range volumes {
		if v.Pod != "" && !slices.Contains(pods, v.Pod) {
			pods = append(pods, v.Pod)
		}
	}
	return pods
}

func inWords(volumes []inuse.Volume, pods []string, names map[string]string) string {
	var called, paths []string
	for _, uid := range pods {
		if name := names[uid]; name != "" {
			called = append(called, name)
		}
	}
	for _, v := range volumes {
		paths = append(paths, v.Path)
	}
	text := "the node has " + counted(len(volumes), "volume") + " of the driver"
	if len(pods) > 0 {
		text += ", in " + counted(len(pods), "pod")
	}
	if len(called) > 0 {
		text += " (" + listed(called) + ")"
	}
	return text + ": " + listed(paths)
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
