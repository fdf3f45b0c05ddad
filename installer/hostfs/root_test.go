package hostfs

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestPathsAreResolvedAsTheNodeWould(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"/usr/libexec/plugins", "/var/data/plugins", "/etc"} {
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(root+"/etc/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"/absolute": "/var/data", "/relative": "var/data", "/usr/up": "../../../../etc",
		"/chain": "absolute/plugins", "/loop": "/loop2", "/loop2": "/loop", "/dangling": "/nowhere",
		"/outside": "/../.." + root, "/dots": "/usr/./libexec//plugins/../plugins/",
	} {
		if err := os.Symlink(target, root+link); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/":                          "/",
		"/usr/libexec/plugins/":      "/usr/libexec/plugins",
		"//usr/./libexec/../libexec": "/usr/libexec",
		"/../../etc":                 "/etc",
		"/absolute/plugins":          "/var/data/plugins",
		"/relative/plugins":          "/var/data/plugins",
		"/usr/up":                    "/etc",
		"/chain":                     "/var/data/plugins",
		"/dots":                      "/usr/libexec/plugins",
		"/etc/file":                  "/etc/file",
	} {
		if got, err := Root(root).Resolve(path); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	for path, want := range map[string]error{
		"/loop":          syscall.ELOOP,
		"/dangling":      os.ErrNotExist,
		"/outside":       os.ErrNotExist, // not the directory of that name outside the root
		"/etc/file/more": syscall.ENOTDIR,
	} {
		if got, err := Root(root).Resolve(path); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v, want %v", path, got, err, want)
		}
	}
	if info, err := Root(root).Stat("/chain"); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := Root(root).Stat("/dangling"); err == nil {
		t.Error("a dangling link was found")
	}
}

func TestErrorsNamePathsOfTheNode(t *testing.T) {
	_, err := Root(t.TempDir()).Resolve("/opt/none")
	var path *os.PathError
	if !errors.As(err, &path) || path.Path != "/opt" {
		t.Errorf("%v", err)
	}
}

func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	fifo, link, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "link"), filepath.Join(dir, "dir")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o644), os.Symlink("/etc/passwd", link), os.Mkdir(socket, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, link, socket} {
		if _, err := HashFile(path); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := HashFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
