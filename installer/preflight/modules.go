package preflight

import (
	"os"
	"path/filepath"
	"strings"

	"flexvolume.io/installer/hostfs"
)

// kernel is what the node's kernel has and can load, as modprobe finds it.
type kernel struct {
	root    hostfs.Root
	release string // as in uname -r
}

// kernelOf needs nothing of the node's: a container runs on the same kernel.
func kernelOf(root hostfs.Root) kernel {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return kernel{root, "of unknown release"}
	}
	return kernel{root, strings.TrimSpace(string(release))}
}

func (k kernel) lacks(name string) (missing bool, more string) {
	name = underscored(name)
	return !k.has(name) && !k.canLoad(name), ""
}

// underscored is the kernel's own spelling; people write dashes, too.
func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// has says that a module is loaded, or built in with something to show below /sys.
func (k kernel) has(name string) bool {
	for line := range strings.Lines(k.read("/proc/modules")) {
		if first, _, _ := strings.Cut(line, " "); first == name {
			return true
		}
	}
	_, err := k.root.Stat("/sys/module/" + name)
	return err == nil
}

// canLoad looks through the lists that depmod makes: the name may be a module's or an alias.
func (k kernel) canLoad(name string) bool {
	for line := range strings.Lines(k.list("modules.builtin")) {
		if moduleName(strings.TrimSpace(line)) == name {
			return true
		}
	}
	for line := range strings.Lines(k.list("modules.dep")) {
		// Small images have the list, but not all the files.
		if file, _, _ := strings.Cut(line, ":"); moduleName(file) == name && k.exists(file) {
			return true
		}
	}
	for line := range strings.Lines(k.list("modules.alias")) {
		fields := strings.Fields(line) // alias NAME MODULE
		if len(fields) == 3 && fields[0] == "alias" && underscored(fields[1]) == name {
			return true
		}
	}
	for entry := range strings.SplitSeq(k.list("modules.builtin.modinfo"), "\x00") {
		_, field, _ := strings.Cut(entry, ".") // MODULE.alias=NAME
		if alias, found := strings.CutPrefix(field, "alias="); found && underscored(alias) == name {
			return true
		}
	}
	return false
}

// moduleName takes the path of a module's file, which may be compressed.
func moduleName(file string) string {
	name, compressed, found := strings.Cut(filepath.Base(file), ".ko")
	switch compressed {
	case "", ".gz", ".xz", ".zst":
		if found {
			return underscored(name)
		}
	}
	return ""
}

func (k kernel) folder() string { return filepath.Join("/lib/modules", k.release) }

func (k kernel) list(name string) string { return k.read(filepath.Join(k.folder(), name)) }

func (k kernel) exists(file string) bool {
	if !filepath.IsAbs(file) {
		file = filepath.Join(k.folder(), file)
	}
	_, err := k.root.Stat(file)
	return err == nil
}

// read gives nothing for what is not there: then nothing is known to be loadable.
func (k kernel) read(path string) string {
	resolved, err := k.root.Resolve(path)
	if err != nil {
		return ""
	}
	data, err := os.ReadFile(k.root.Real(resolved))
	if err != nil {
		return ""
	}
	return string(data)
}
