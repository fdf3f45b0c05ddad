package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"flexvolume.io/installer/report"
)

// The entrypoint of a driver image says nothing when it has copied its driver: a file that stands
// still for so long is complete.
const (
	stillFor   = 2 * time.Second
	settlePoll = 100 * time.Millisecond
)

// sight is what one look at the source shows.
type sight struct {
	there, regular bool
	inode          uint64
	size           int64
	modified       int64
}

func see(path string) sight {
	info, err := os.Stat(path)
	if err != nil {
		return sight{}
	}
	s := sight{there: true, regular: info.Mode().IsRegular(), size: info.Size(), modified: info.ModTime().UnixNano()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = stat.Ino
	}
	return s
}

// settling follows the source over several looks.
type settling struct {
	last  sight
	since time.Time // of the last change
}

// done takes one more look into account. An empty file is one that has not been written yet.
func (s *settling) done(now sight, at time.Time) bool {
	if now != s.last || s.since.IsZero() {
		s.last, s.since = now, at
	}
	return now.regular && now.size > 0 && at.Sub(s.since) >= stillFor
}

// missing says what is wrong with the source when there is no more time.
func (s *settling) missing(path string) string {
	switch {
	case !s.last.there:
		return "is not there" + lies(path)
	case !s.last.regular:
		return "is no file" + lies(path)
	case s.last.size == 0:
		return "is still empty"
	}
	return fmt.Sprintf("is still being written, %d bytes by now", s.last.size)
}

// settle waits until the container beside this one has put the driver at the source.
func (r *run) settle(ctx context.Context) error {
	if r.Settle == 0 {
		return nil
	}
	var s settling
	tick := time.NewTicker(settlePoll)
	defer tick.Stop()
	for deadline := time.Now().Add(r.Settle); ; {
		now := time.Now()
		if s.done(see(r.Source), now) {
			return nil
		}
		if now.After(deadline) {
			return report.Failf(report.SourceNotFound, "the driver image's entrypoint was given %s, and %s %s; "+
				"see that container's log, and spec.install.source", r.Settle, r.Source, s.missing(r.Source))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the pod was ended while it waited for %s", r.Source)
		case <-tick.C:
		}
	}
}

// lies tells what is in the nearest directory above a path, and in the directories in it: an image
// may have been told other names than the FlexDriver has.
func lies(path string) string {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	for err != nil && dir != "/" {
		dir = filepath.Dir(dir)
		entries, err = os.ReadDir(dir)
	}
	var found []string
	for _, entry := range entries {
		names := []string{entry.Name()}
		if entry.IsDir() {
			if inside, err := filepath.Glob(filepath.Join(dir, entry.Name(), "*")); err == nil && len(inside) > 0 {
				names = inside
			}
		}
		for _, name := range names {
			found = append(found, strings.TrimPrefix(name, dir+"/"))
		}
	}
	if len(found) == 0 {
		return " (" + dir + " is empty)"
	}
	if len(found) > maxAlternatives {
		found = append(found[:maxAlternatives], "...")
	}
	return " (" + dir + " has " + strings.Join(found, ", ") + ")"
}
