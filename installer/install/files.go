package install

import (
	"fmt"
	"io/fs"
	"os"

	"flexvolume.io/installer/place"
	"flexvolume.io/installer/publish"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/stage"
)

// File is one file to lie beside the driver. Its content may be a secret: it is never logged.
type File struct {
	Name   string // no path
	Mode   fs.FileMode
	Source string // path in this container; links are followed
}

// sources are what is to be installed, open.
type sources struct {
	driver *os.File
	files  []*os.File // in the order of the flags
}

func (s *sources) close() {
	for _, file := range append(s.files, s.driver) {
		if file != nil {
			file.Close()
		}
	}
}

func (r *run) open() (*sources, error) {
	s := &sources{}
	var err error
	if s.driver, err = openSource(r.Source, "spec.install.source"); err != nil {
		return nil, err
	}
	for _, wanted := range r.Files {
		file, err := openSource(wanted.Source, fmt.Sprintf("%q in spec.install.files", wanted.Name))
		if err != nil {
			s.close()
			return nil, err
		}
		s.files = append(s.files, file)
	}
	return s, nil
}

// fill stages everything.
func (r *run) fill(staged *stage.Stage, from *sources) error {
	var err error
	if r.report.SHA256, err = staged.Fill(from.driver); err != nil {
		return err
	}
	for i, wanted := range r.Files {
		sum, err := staged.FillFile(wanted.Name, wanted.Mode, from.files[i])
		if err != nil {
			return err
		}
		r.files = append(r.files, record.FileOf(wanted.Name, wanted.Mode, sum))
	}
	return nil
}

// keep copies what init has run with into the payload, from which the guard repairs, and so finds
// out whether init changed it.
func (r *run) keep(tried *stage.Stage, payload publish.Payload) error {
	err := unchanged(tried.Driver(), r.report.SHA256, "the driver's own file", payload.PutDriver)
	for _, file := range r.files {
		if err == nil {
			put := func(from string) (string, error) { return payload.PutFile(from, file.Name) }
			err = unchanged(tried.File(file.Name), file.SHA256, fmt.Sprintf("%q beside it", file.Name), put)
		}
	}
	return err
}

func unchanged(path, want, what string, hash place.Hasher) error {
	entry, err := place.Look(path)
	if err != nil {
		return err
	}
	sum := ""
	if entry.Kind == place.Regular {
		if sum, err = hash(path); err != nil {
			return kept(err)
		}
	}
	if sum != want {
		return report.Failf(report.InitFailed,
			"the driver's init changed %s; what a node runs must be what the image holds", what)
	}
	return nil
}

// kept explains that the guard can have no copy.
func kept(err error) error {
	if err != nil {
		return fmt.Errorf("keeping a copy for the guard: %w", err)
	}
	return nil
}
