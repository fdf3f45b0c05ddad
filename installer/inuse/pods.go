package inuse

import (
	"strings"

	"flexvolume.io/installer/hostfs"
)

// logs is where every kubelet has a directory NAMESPACE_NAME_UID for each of its pods.
const logs = "/var/log/pods"

// PodNames gives NAMESPACE/NAME of the node's pods by their uids, as far as that can be seen: a uid
// alone helps nobody who has to delete a pod.
func PodNames(root hostfs.Root) map[string]string {
	found := map[string]string{}
	dirs, _ := names(root, logs)
	for _, dir := range dirs {
		if parts := strings.Split(dir, "_"); len(parts) == 3 {
			found[parts[2]] = parts[0] + "/" + parts[1]
		}
	}
	return found
}
