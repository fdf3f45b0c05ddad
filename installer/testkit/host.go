package testkit

import (
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// PluginDir is where the kubelets of the tests look, as upstream's do.
const PluginDir = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"

// BootID is what a node of the tests calls its boot.
const BootID = "b0071d00-0000-4000-8000-000000000001"

// programs are on every node of the tests.
var programs = []string{"sh", "sleep", "env", "cat"}

// template is a node's root with programs and the libraries they need, made once per test run.
var template = sync.OnceValues(func() (string, error) {
	root, err := os.MkdirTemp("", "node")
	if err != nil {
		return "", err
	}
	made = root
	for _, dir := range []string{"/bin", "/tmp", "/etc", "/var", PluginDir} {
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(root+"/proc/sys/kernel/random", 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(root+"/proc/sys/kernel/random/boot_id", []byte(BootID+"\n"), 0o444); err != nil {
		return "", err
	}
	for _, name := range programs {
		path, err := exec.LookPath(name)
		if err == nil {
			err = addProgram(root, path, "/bin/"+name)
		}
		if err != nil {
			return "", err
		}
	}
	return root, nil
})

var made string // the template, when a test has asked for it

// RemoveTemplate belongs after the last test.
func RemoveTemplate() {
	if made != "" {
		os.RemoveAll(made)
	}
}

// NewHost makes a node's root directory.
func NewHost(t *testing.T) string {
	t.Helper()
	base, err := template()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "host")
	if err := linkTree(base, root); err != nil {
		t.Fatal(err)
	}
	const nullDevice = 1<<8 | 3
	if err := os.Mkdir(root+"/dev", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mknod(root+"/dev/null", syscall.S_IFCHR|0o666, nullDevice); err != nil {
		t.Fatal(err)
	}
	return root
}

// linkTree copies a tree, its files as hard links: nobody writes into them.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		return os.Link(path, target)
	})
}

func addProgram(root, from, to string) error {
	if _, err := os.Stat(root + to); err == nil {
		return nil
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(root+to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(root+to, data, 0o755); err != nil {
		return err
	}
	return addLibraries(root, from)
}

// Loader is the dynamic loader that a program asks for, "" for a static one.
func Loader(t *testing.T, program string) string {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	loader, err := loaderOf(file)
	if err != nil {
		t.Fatal(err)
	}
	return loader
}

func loaderOf(file *elf.File) (string, error) {
	section := file.Section(".interp")
	if section == nil {
		return "", nil
	}
	data, err := section.Data()
	return strings.TrimSuffix(string(data), "\x00"), err
}

func addLibraries(root, program string) error {
	file, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer file.Close()
	loader, err := loaderOf(file)
	if err == nil && loader != "" {
		err = addProgram(root, loader, loader)
	}
	if err != nil {
		return err
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, name := range libraries {
		for _, pattern := range []string{"/lib/*-linux-gnu*/", "/lib64/", "/usr/lib64/", "/lib/", "/usr/lib/"} {
			found, err := filepath.Glob(pattern + name)
			if err != nil {
				return err
			}
			if len(found) == 0 {
				continue
			}
			if err := addProgram(root, found[0], found[0]); err != nil {
				return err
			}
			break
		}
	}
	return nil
}
