package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"flexvolume.io/installer/report"
)

// openSource opens a file of the driver's own image; links in the image are the image's business.
// field is what names it in a FlexDriver.
func openSource(path, field string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, report.Failf(report.SourceNotFound, "the image has no file %s%s; set %s",
			path, alternatives(filepath.Dir(path)), field)
	case err != nil:
		return nil, report.Failf(report.SourceNotFound, "%s in the image cannot be read: %v; see %s", path, err, field)
	case !info.Mode().IsRegular():
		return nil, report.Failf(report.SourceNotFound, "%s in the image is a %s, not a file; set %s",
			path, kind(info.Mode()), field)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, report.Failf(report.SourceNotFound, "%s in the image cannot be read: %v; see %s", path, err, field)
	}
	return file, nil
}

func kind(mode fs.FileMode) string {
	if mode.IsDir() {
		return "directory"
	}
	return "special file"
}

// maxAlternatives keeps the message short in an image with a whole distribution.
const maxAlternatives = 5

// alternatives names files that lie where the driver was expected, for who mistyped its name.
func alternatives(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	var found []string
	for _, entry := range entries {
		if entry.Type().IsRegular() && len(found) < maxAlternatives {
			found = append(found, entry.Name())
		}
	}
	if len(found) == 0 {
		return ""
	}
	return " (" + dir + " has " + strings.Join(found, ", ") + ")"
}
