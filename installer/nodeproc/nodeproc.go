// Package nodeproc learns which plugin directories the node's own kubelet and
// kube-controller-manager use, from their command lines and the files these name. What it cannot
// tell for sure it leaves open: a driver in the wrong directory is worse than a question.
package nodeproc

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"flexvolume.io/installer/hostfs"
)

// DefaultPluginDir is where both look when nobody tells them.
const DefaultPluginDir = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"

// Setting is a plugin directory, absolute and clean, and in words for people where it is set. The
// zero one is that of a process which is not there, or whose directory is not known.
type Setting struct {
	PluginDir string
	From      string
}

// Seen is what the processes of a node tell.
type Seen struct {
	Kubelet           Setting
	ControllerManager Setting
	Contained         bool   // the controller-manager runs in a container
	Path              string // the PATH in which the kubelet's drivers look for commands; "": not known
}

// Patience is some hundred times what looking at all processes of a busy node takes.
const Patience = 10 * time.Second

// Look reads the node's processes. It gives up after patience and has then seen nothing.
func Look(root hostfs.Root, patience time.Duration) Seen {
	return within(patience, func() Seen { return look(root) })
}

// KubeletRoots are the directories in which kubelets were told to keep their pods; one that was
// told none has its default. It gives up as Look does.
func KubeletRoots(root hostfs.Root, patience time.Duration) []string {
	return within(patience, func() []string {
		var roots []string
		for _, p := range outside(find(root)[kubelet]) {
			if dir := flags(p.args, flagRoot)[flagRoot]; filepath.IsAbs(dir) {
				roots = append(roots, filepath.Clean(dir))
			}
		}
		return roots
	})
}

// within gives the zero answer when patience ends: a process that hangs in the kernel can hold up
// whoever asks for its command line.
func within[T any](patience time.Duration, ask func() T) T {
	done := make(chan T, 1)
	go func() {
		var answer T
		defer func() {
			_ = recover() // nobody else can catch it, and not knowing is no failure
			done <- answer
		}()
		answer = ask()
	}()
	select {
	case answer := <-done:
		return answer
	case <-time.After(patience):
		var none T
		return none
	}
}

func look(root hostfs.Root) Seen {
	found := find(root)
	// A kubelet in a pod is that of another cluster, or of somebody who wants to lead us astray.
	kubelets := outside(found[kubelet])
	managers := found[controllerManager]
	if own := outside(managers); len(own) > 0 { // but these often run in one
		managers = own
	}
	seen := Seen{
		Kubelet:           agreed(kubelets, func(args []string) Setting { return kubeletSetting(root, args) }),
		ControllerManager: agreed(managers, managerSetting),
	}
	if len(kubelets) == 1 { // of several, nobody knows which one asks
		seen.Path = kubelets[0].path
	}
	seen.Contained = seen.ControllerManager != (Setting{}) && contained(managers)
	return seen
}

// outside are those in no pod.
func outside(all []process) []process {
	return slices.DeleteFunc(slices.Clone(all), func(p process) bool { return p.groups.hold(ofPod) })
}

func contained(all []process) bool {
	return !slices.ContainsFunc(all, func(p process) bool { return !p.groups.hold(ofContainer) })
}

// agreed is what all tell, or the zero setting if two differ.
func agreed(all []process, tell func(args []string) Setting) Setting {
	var first Setting
	for i, p := range all {
		told := tell(p.args)
		if i == 0 {
			first = told
		}
		if told.PluginDir != first.PluginDir {
			return Setting{}
		}
	}
	return first
}

// setting is zero for a directory that says where it is to the process alone, whose working
// directory is not ours to read, and for one that cannot be told in a report.
func setting(dir, from string) Setting {
	if !filepath.IsAbs(dir) || !utf8.ValidString(dir) || strings.ContainsFunc(dir, unicode.IsControl) {
		return Setting{}
	}
	return Setting{filepath.Clean(dir), from}
}
