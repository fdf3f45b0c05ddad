package stage

import (
	"path/filepath"
	"time"

	"flexvolume.io/installer/hostfs"
)

// Clean sweeps what dead runs left beside a plugin directory and in it; pluginDir is a path of the
// node without links.
func Clean(root hostfs.Root, pluginDir string, patience time.Duration) error {
	for _, dir := range []string{filepath.Dir(pluginDir), pluginDir} {
		real := root.Real(dir)
		if err := locked(real, patience, func() error { return sweep(real) }); err != nil {
			return err
		}
	}
	return nil
}
