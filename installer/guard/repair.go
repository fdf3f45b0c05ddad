package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/publish"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/stage"
)

// lockPatience is short: while another pod publishes here, this guard is about to stand down.
const lockPatience = 100 * time.Millisecond

var (
	// errReplaced: the mounted directory is no longer the one at the plugin directory's path.
	errReplaced = errors.New("the plugin directory was replaced on the node")
	// errNotOurs: another installation has taken the place over.
	errNotOurs = errors.New("the ownership record carries another install id")
)

// keeper compares one place with what install left in the payload.
type keeper struct {
	place   place.Place
	payload publish.Payload
	record  record.Record
	origin  fs.FileInfo // the plugin directory at start
	moved   bool        // it was renamed on the node
	hash    hashCache
}

// check repairs what has drifted and says what that was. It returns errReplaced, errNotOurs,
// place.ErrBusy, or the failure of a repair.
func (k *keeper) check() (repaired string, err error) {
	if err := k.stillThere(); err != nil {
		return "", err
	}
	if _, drift, err := k.look(); err != nil || len(drift) == 0 {
		return "", err
	}
	lock, err := place.Lock(k.place.PluginDir, lockPatience)
	if err != nil {
		return "", k.explain(err)
	}
	defer lock.Close()
	now, drift, err := k.look() // again: whoever held the lock may have changed everything
	if err != nil || len(drift) == 0 {
		return "", err
	}
	if err := k.repair(now); err != nil {
		return "", k.explain(err)
	}
	return strings.Join(drift, ", "), nil
}

// stillThere looks for a plugin directory that was removed or replaced: this mount stays on the
// old one, where no kubelet looks.
func (k *keeper) stillThere() error {
	info, err := os.Stat(k.place.PluginDir)
	if err != nil {
		return err
	}
	if k.moved || !os.SameFile(info, k.origin) || hostfs.Unlinked(info) {
		return errReplaced
	}
	return nil
}

// explain finds what is behind the failure of a repair: a replaced plugin directory, or somebody
// who removes or makes things at the same time, such as rm -rf, after whom it succeeds.
func (k *keeper) explain(err error) error {
	switch {
	case k.stillThere() == errReplaced:
		return errReplaced
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrExist):
		return place.ErrBusy
	}
	return err
}

// look lists what is wrong, or says errNotOurs.
func (k *keeper) look() (place.Current, []string, error) {
	now, err := k.place.InspectWith(k.hash.sum)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, hostfs.ErrNotRegular) {
		err = place.ErrBusy // it changed under the look
	}
	if err != nil {
		return now, nil, err
	}
	if now.Record != nil && now.Record.InstallID != k.record.InstallID {
		return now, nil, errNotOurs
	}
	return now, k.drift(now), nil
}

func (k *keeper) drift(now place.Current) []string {
	var drift []string
	note := func(wrong bool, what string) {
		if wrong {
			drift = append(drift, what)
		}
	}
	switch now.Dir.Kind {
	case place.Absent:
		return []string{"directory missing"}
	case place.Directory:
		note(publish.SafeDirMode(now.Dir.Mode) != now.Dir.Mode, fmt.Sprintf("directory mode %v", now.Dir.Mode))
	default:
		return []string{"directory is something else"}
	}
	switch now.Exec.Kind {
	case place.Absent:
		note(true, "executable missing")
	case place.Regular:
		note(now.SHA256 != k.record.SHA256, "content changed")
		note(now.Exec.Mode != place.DriverMode, fmt.Sprintf("mode %v", now.Exec.Mode))
		note(!now.Exec.RootOwned(), fmt.Sprintf("owner %d:%d", now.Exec.UID, now.Exec.GID))
	default:
		note(true, "executable is no file")
	}
	note(now.Record == nil, "record missing or unreadable")
	note(now.Record != nil && !now.Record.Equal(k.record), "record changed")
	return drift
}

// repair makes the place whole; the lock is held.
func (k *keeper) repair(now place.Current) error {
	if now.Dir.Kind == place.Other {
		// A link: a file in the way of the directory cannot come from a driver.
		if err := os.Remove(k.place.Dir()); err != nil {
			return err
		}
		now.Dir = place.Entry{Kind: place.Absent}
	}
	staged, err := stage.OpenHeld(stage.Where{
		Root: hostfs.Root(k.place.PluginDir), PluginDir: "/", ID: k.record.InstallID, InPluginDir: true,
	})
	if err != nil {
		return err
	}
	defer staged.Close()
	if !now.Holds(k.record.SHA256) || !now.Exec.RootOwned() {
		if err := k.fill(staged); err != nil {
			return err
		}
		_, err = publish.Put(k.place, staged, now, k.record)
		return err
	}
	return k.repairAround(staged, now)
}

// repairAround leaves the good content alone.
func (k *keeper) repairAround(staged *stage.Stage, now place.Current) error {
	if mode := publish.SafeDirMode(now.Dir.Mode); mode != now.Dir.Mode {
		if err := os.Chmod(k.place.Dir(), mode); err != nil {
			return err
		}
	}
	if now.Exec.Mode != place.DriverMode {
		if err := os.Chmod(k.place.Exec(), place.DriverMode); err != nil {
			return err
		}
	}
	if now.Record != nil && now.Record.Equal(k.record) {
		return nil
	}
	return publish.PutRecord(k.place, staged, k.record)
}

func (k *keeper) fill(staged *stage.Stage) error {
	pristine, err := hostfs.OpenRegular(k.payload.Driver())
	if err != nil {
		return report.Failf(report.InternalError, "the guard's own copy of the driver: %v", err)
	}
	defer pristine.Close()
	sum, err := staged.Fill(pristine)
	if err == nil && sum != k.record.SHA256 {
		return report.Failf(report.InternalError, "the guard's own copy of the driver is damaged")
	}
	return err
}
