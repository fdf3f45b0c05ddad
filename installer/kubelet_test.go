package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/fsnotify/fsnotify"

	"flexvolume.io/installer/testkit"
)

// kubelet watches a plugin directory as a real one does: every directory, and no event whose base
// name begins with a dot.
type kubelet struct {
	t       *testing.T
	plugins string
	watcher *fsnotify.Watcher
	mutex   sync.Mutex
	seen    []string // "CREATE example.com~nfs", in order
	done    bool
}

const fence = "zz-fence"

func newKubelet(t *testing.T, plugins string) *kubelet {
	t.Helper()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { watcher.Close() })
	k := &kubelet{t: t, plugins: plugins, watcher: watcher}
	k.watch(plugins)
	go k.listen()
	return k
}

func (k *kubelet) watch(dir string) {
	// One that is gone already was made and removed in a moment, as where a registration is ended.
	if err := k.watcher.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.t.Error(err)
	}
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if entry.IsDir() {
			k.watch(filepath.Join(dir, entry.Name()))
		}
	}
}

func (k *kubelet) listen() {
	for event := range k.watcher.Events {
		name, _ := filepath.Rel(k.plugins, event.Name)
		if filepath.Base(name)[0] == '.' && name != "." {
			continue
		}
		if info, err := os.Lstat(event.Name); err == nil && info.IsDir() && event.Has(fsnotify.Create) {
			k.watch(event.Name)
		}
		k.mutex.Lock()
		if name == fence {
			k.done = k.done || event.Has(fsnotify.Create) // its end may be heard after the next beginning
		} else if name != "." {
			k.seen = append(k.seen, event.Op.String()+" "+name)
		}
		k.mutex.Unlock()
	}
}

// events gives all that was seen until now: a file made here and removed marks the end.
func (k *kubelet) events() []string {
	k.t.Helper()
	path := filepath.Join(k.plugins, fence)
	if err := os.WriteFile(path, nil, 0o600); err != nil && !os.IsNotExist(err) {
		k.t.Fatal(err)
	}
	testkit.Until(k.t, "the fence was seen", func() bool {
		k.mutex.Lock()
		defer k.mutex.Unlock()
		return k.done
	})
	os.Remove(path)
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.done = false
	return slices.Clone(k.seen)
}

func (k *kubelet) wantSeen(want ...string) {
	k.t.Helper()
	if got := k.events(); !slices.Equal(got, want) {
		k.t.Errorf("the kubelet saw %q, want %q", got, want)
	}
}
