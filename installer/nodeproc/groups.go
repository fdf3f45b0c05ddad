package nodeproc

import "strings"

// controlGroups is the content of /proc/<pid>/cgroup: lines of "id:controllers:path".
type controlGroups string

// hold says whether an element of a path is such a one.
func (g controlGroups) hold(such func(element string) bool) bool {
	for line := range strings.Lines(string(g)) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		_, path, _ := strings.Cut(rest, ":")
		for element := range strings.SplitSeq(path, "/") {
			if such(element) {
				return true
			}
		}
	}
	return false
}

// ofPod tells the group of pods, or of one pod. The first is not always to be seen: a container
// with a group namespace of its own is told paths relative to its own group, which is in the same
// "kubepods" as that of other pods ("/../../pod<uid>/<container>").
func ofPod(element string) bool {
	if strings.Contains(element, "kubepods") {
		return true
	}
	name := strings.TrimSuffix(element, ".slice")
	at := strings.LastIndex(name, "pod")
	return at >= 0 && (at == 0 || name[at-1] == '-') && isUID(name[at+len("pod"):])
}

// isUID knows those of the API server, also as systemd spells them, and the hashes that a kubelet
// gives to static pods.
func isUID(text string) bool {
	return len(text) >= 32 && strings.Trim(text, "0123456789abcdef-_") == ""
}

func ofContainer(element string) bool {
	for _, runtime := range [...]string{"docker", "containerd", "crio", "libpod"} {
		if strings.Contains(element, runtime) {
			return true
		}
	}
	return ofPod(element)
}
