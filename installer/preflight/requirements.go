package preflight

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"flexvolume.io/installer/report"
)

// Requirements are what a driver needs of a node beside its own files.
type Requirements struct {
	Commands []string // names, looked for as a driver would, or absolute paths
	Modules  []string // of the kernel
	Paths    []string // files, directories or sockets
}

// Empty says that nothing is required.
func (r Requirements) Empty() bool { return len(r.Commands)+len(r.Modules)+len(r.Paths) == 0 }

// Meets looks for everything that is required, so that a node is put right in one go: all that is
// missing is told, and the first kind of it gives the reason.
func (n Node) Meets(want Requirements) error {
	kernel := kernelOf(n.Root)
	kinds := [...]struct {
		reason  report.Reason
		missing []string
		what    string
	}{
		{report.MissingHostCommand, lacking(want.Commands, n.lacksCommand), "no command %s in PATH " + n.path()},
		{report.MissingKernelModule, lacking(want.Modules, kernel.lacks), "no module %s for its kernel " + kernel.release},
		{report.MissingHostPath, lacking(want.Paths, n.lacksPath), "no %s"},
	}
	var reason report.Reason
	var lines []string
	for _, kind := range kinds {
		if len(kind.missing) == 0 {
			continue
		}
		if reason == "" {
			reason = kind.reason
		}
		lines = append(lines, fmt.Sprintf(kind.what, strings.Join(kind.missing, ", ")))
	}
	if reason == "" {
		return nil
	}
	return report.Failf(reason, "what spec.requirements asks for is not all on this node: %s", strings.Join(lines, "; "))
}

// lacking keeps the names that are missing, each with more about it in brackets where there is more.
func lacking(names []string, lacks func(name string) (missing bool, more string)) []string {
	var kept []string
	for _, name := range names {
		missing, more := lacks(name)
		if more != "" {
			name += " (" + more + ")"
		}
		if missing {
			kept = append(kept, name)
		}
	}
	return kept
}

func (n Node) lacksCommand(name string) (missing bool, more string) {
	if !filepath.IsAbs(name) {
		return !n.inPath(name), ""
	}
	problem := n.missing(name)
	return problem != "", problem
}

func (n Node) lacksPath(path string) (missing bool, more string) {
	_, err := n.Root.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		more = err.Error()
	}
	return err != nil, more
}
