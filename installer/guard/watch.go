package guard

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"

	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
)

// watch hears of changes in the place: the plugin directory itself and the driver's directory.
// The zero watch hears nothing: inotify is exhausted, and the guard looks at intervals instead.
type watch struct {
	place   place.Place
	files   []record.File // beside the executable
	watcher *fsnotify.Watcher
}

// ensure starts or renews the watches; called before each look, so that no change falls between.
func (w *watch) ensure() error {
	if w.watcher == nil {
		watcher, err := fsnotify.NewWatcher()
		if err != nil {
			return err
		}
		w.watcher = watcher
	}
	err := w.watcher.Add(w.place.PluginDir)
	if err == nil {
		err = w.ensureDriver()
	}
	if err != nil {
		w.close()
	}
	return err
}

// ensureDriver watches whatever directory is at the path now; adding the same one again is nothing.
func (w *watch) ensureDriver() error {
	info, err := os.Lstat(w.place.Dir())
	if err != nil || !info.IsDir() {
		return nil // its arrival is heard in the plugin directory
	}
	if err := w.watcher.Add(w.place.Dir()); !os.IsNotExist(err) {
		return err
	}
	return nil
}

func (w *watch) close() {
	if w.watcher != nil {
		w.watcher.Close()
	}
	w.watcher = nil
}

func (w *watch) events() <-chan fsnotify.Event {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Events
}

// errors are lost events, which deserve a look like any event.
func (w *watch) errors() <-chan error {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Errors
}

// tellsOfMove says that the plugin directory was renamed on the node. The mount goes along with it,
// so nothing else shows that the kubelet's directory is another one now.
func (w *watch) tellsOfMove(event fsnotify.Event) bool {
	return event.Has(fsnotify.Rename) && filepath.Clean(event.Name) == w.place.PluginDir
}

// concerns passes over other drivers, staged files, and files a driver keeps beside itself.
func (w *watch) concerns(event fsnotify.Event) bool {
	switch filepath.Clean(event.Name) {
	case w.place.PluginDir, w.place.Dir(), w.place.Exec(), filepath.Join(w.place.Dir(), record.Name):
		return true
	}
	return slices.ContainsFunc(w.files, func(file record.File) bool {
		return filepath.Clean(event.Name) == w.place.File(file.Name)
	})
}
