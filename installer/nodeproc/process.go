package nodeproc

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"flexvolume.io/installer/hostfs"
)

// component is a program that looks for drivers.
type component int

const (
	neither component = iota
	kubelet
	controllerManager
)

// process is a component that runs; args are those after its name, path is its PATH.
type process struct {
	args   []string
	groups controlGroups
	path   string
}

// find gives the node's components. Without a readable /proc there are none, and what ends while
// it is looked at is passed over.
func find(root hostfs.Root) map[component][]process {
	found := map[component][]process{}
	proc := root.Real("/proc")
	dir, err := os.Open(proc)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	head := make([]byte, 4<<10)
	for _, name := range names {
		if _, err := strconv.Atoi(name); err != nil {
			continue
		}
		of, args := recognise(commandLine(filepath.Join(proc, name, "cmdline"), head))
		if of == neither {
			continue
		}
		groups, err := os.ReadFile(filepath.Join(proc, name, "cgroup"))
		if err == nil {
			path := searchPath(filepath.Join(proc, name, "environ"))
			found[of] = append(found[of], process{args, controlGroups(groups), path})
		}
	}
	return found
}

// commandLine gives the arguments of a component, nil for any other process: a node may run
// thousands, and kernel threads, which have none. Head is memory to use again.
func commandLine(path string, head []byte) []string {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	n, err := file.Read(head)
	if err != nil {
		return nil
	}
	line := string(head[:n])
	if of, _ := recognise(strings.SplitN(line, "\x00", 3)); of == neither {
		return nil
	}
	rest, err := io.ReadAll(file)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(line+string(rest), "\x00"), "\x00")
}

// searchPath is the PATH in a process's environment; "" where that cannot be read, for which a
// container needs all capabilities that the process has.
func searchPath(environ string) string {
	data, err := os.ReadFile(environ)
	if err != nil {
		return ""
	}
	for entry := range strings.SplitSeq(string(data), "\x00") {
		if path, found := strings.CutPrefix(entry, "PATH="); found {
			return path
		}
	}
	return ""
}

// recognise goes by the name a program was started with, as its file is often not to be seen. A
// shell or an editor that has the word in its arguments has another name.
func recognise(argv []string) (component, []string) {
	if len(argv) == 0 {
		return neither, nil
	}
	name, args := filepath.Base(argv[0]), argv[1:]
	if name == "hyperkube" && len(args) > 0 {
		name, args = args[0], args[1:]
		if name == "controller-manager" {
			return controllerManager, args
		}
	}
	switch name {
	case "kubelet":
		return kubelet, args
	case "kube-controller-manager":
		return controllerManager, args
	}
	return neither, nil
}
