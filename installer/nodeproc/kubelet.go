package nodeproc

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/topkey"
)

// The kubelet's flags.
const (
	flagPluginDir = "volume-plugin-dir"
	flagConfig    = "config"
	flagConfigDir = "config-dir"
	flagRoot      = "root-dir"
)

// maxConfig is far above any configuration file.
const maxConfig = 1 << 20

// kubeletSetting works out the plugin directory as the kubelet does (cmd/kubelet/app/server.go): the
// flag beats the files in the drop-in directory, of which a later one beats an earlier, and they
// beat the file.
func kubeletSetting(root hostfs.Root, args []string) Setting {
	told := flags(args, flagPluginDir, flagConfig, flagConfigDir)
	if dir, isTold := told[flagPluginDir]; isTold {
		return setting(dir, "--"+flagPluginDir)
	}
	now := byDefault()
	if path := told[flagConfig]; path != "" {
		// In this file, and in no other, a relative path begins where the file is.
		now = configured(root, path, filepath.Dir(path), now)
	}
	if dir := told[flagConfigDir]; dir != "" {
		paths, err := dropIns(root, dir)
		if err != nil {
			return Setting{}
		}
		for _, path := range paths {
			now = configured(root, path, "", now)
		}
	}
	return now
}

// configured is the setting after a file: without the key it stays what it was before, and an empty
// value brings the default back.
func configured(root hostfs.Root, path, base string, before Setting) Setting {
	data, err := read(root, path)
	if err != nil {
		return Setting{}
	}
	dir, found, err := topkey.Find(data, "volumePluginDir")
	switch {
	case err != nil:
		return Setting{}
	case !found:
		return before
	case dir == "":
		return byDefault()
	case !filepath.IsAbs(dir):
		dir = filepath.Join(base, dir)
	}
	return setting(dir, "volumePluginDir in "+path)
}

var errUnknown = errors.New("not to be known from here")

func read(root hostfs.Root, path string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		return nil, errUnknown
	}
	resolved, err := root.Resolve(path)
	if err != nil {
		return nil, err
	}
	file, err := hostfs.OpenRegular(root.Real(resolved))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if len(data) == 0 || len(data) > maxConfig {
		return nil, errUnknown // no kubelet runs with an empty file
	}
	return data, err
}

// dropIns lists the files of the drop-in directory and of those below it, in the kubelet's order,
// which is that of WalkDir.
func dropIns(root hostfs.Root, dir string) ([]string, error) {
	dir = filepath.Clean(dir)
	if !filepath.IsAbs(dir) {
		return nil, errUnknown
	}
	parent, err := root.Resolve(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	var paths []string
	top := root.Real(filepath.Join(parent, filepath.Base(dir)))
	err = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return nil
		case path == top:
			return errUnknown // a link, which the kubelet follows only if a slash comes after it
		case filepath.Ext(entry.Name()) == ".conf":
			paths = append(paths, dir+strings.TrimPrefix(path, top))
		}
		return nil
	})
	return paths, err
}
