package guard

import (
	"errors"
	"fmt"
	"io"
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
	// errResting: there is something to repair, but it is not time yet.
	errResting = errors.New("repairing at most once a minute")
)

// contentChanged is how drift tells that others have put their content there.
const contentChanged = "content changed"

// keeper compares one place with what install left in the payload.
type keeper struct {
	place   place.Place
	payload publish.Payload
	record  record.Record
	origin  fs.FileInfo // the plugin directory at start
	moved   bool        // it was renamed on the node
	follows bool        // it heard of the node's mounts at start
	hash    hashCache
}

// check repairs what has drifted, unless it rests, and says what has. It returns errReplaced,
// errNotOurs, errResting, place.ErrBusy, or the failure of a repair.
func (k *keeper) check(rests bool) (drifted string, err error) {
	if err := k.stillThere(); err != nil {
		return "", err
	}
	_, drift, err := k.look()
	if err != nil || len(drift) == 0 {
		return "", err
	}
	if rests {
		return strings.Join(drift, ", "), errResting
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

// stillThere looks for a plugin directory that was removed, replaced, mounted over or unmounted: this
// mount stays on the old one, where no kubelet looks. Of an unmount alone nothing tells but looking.
func (k *keeper) stillThere() error {
	info, err := os.Stat(k.place.PluginDir)
	if err != nil {
		return err
	}
	if k.moved || !os.SameFile(info, k.origin) || hostfs.Unlinked(info) || (k.follows && !follows(k.place.PluginDir)) {
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
	now, err := publish.Look(k.place, k.record.ExtraFiles, k.hash.sum)
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
	drift = append(drift, differences("executable", now.Executable(), k.record.SHA256, place.DriverMode)...)
	for _, file := range k.record.ExtraFiles {
		drift = append(drift, differences(file.Name, now.Files[file.Name], file.SHA256, file.Perm())...)
	}
	note(now.Record == nil, "record missing or unreadable")
	note(now.Record != nil && !now.Record.Equal(k.record), "record changed")
	return drift
}

// differences between a file and what it shall be, in words.
func differences(what string, now place.Found, sha256 string, mode fs.FileMode) []string {
	switch now.Kind {
	case place.Absent:
		return []string{what + " missing"}
	case place.Regular:
	default:
		return []string{what + " is no file"}
	}
	var found []string
	if now.SHA256 != sha256 {
		found = append(found, what+" "+contentChanged)
	}
	if now.Mode != mode {
		found = append(found, fmt.Sprintf("%s mode %v", what, now.Mode))
	}
	if !now.RootOwned() {
		found = append(found, fmt.Sprintf("%s owner %d:%d", what, now.UID, now.GID))
	}
	return found
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
	if err := k.fill(staged, now); err != nil {
		return err
	}
	_, err = publish.Mend(k.place, staged, now, k.record)
	return err
}

// fill stages what is to be replaced.
func (k *keeper) fill(staged *stage.Stage, now place.Current) error {
	if publish.Replaces(now.Executable(), k.record.SHA256) {
		if err := fillFrom(k.payload.Driver(), k.record.SHA256, staged.Fill); err != nil {
			return err
		}
	}
	for _, file := range k.record.ExtraFiles {
		if !publish.Replaces(now.Files[file.Name], file.SHA256) {
			continue
		}
		fill := func(content io.Reader) (string, error) { return staged.FillFile(file.Name, file.Perm(), content) }
		if err := fillFrom(k.payload.File(file.Name), file.SHA256, fill); err != nil {
			return err
		}
	}
	return nil
}

func fillFrom(path, want string, fill func(io.Reader) (string, error)) error {
	pristine, err := hostfs.OpenRegular(path)
	if err != nil {
		return report.Failf(report.InternalError, "the guard's own copy: %v", err)
	}
	defer pristine.Close()
	sum, err := fill(pristine)
	if err == nil && sum != want {
		return report.Failf(report.InternalError, "the guard's own copy in %s is damaged", path)
	}
	return err
}
