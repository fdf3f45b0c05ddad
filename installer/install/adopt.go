package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"flexvolume.io/installer/place"
	"flexvolume.io/installer/publish"
	"flexvolume.io/installer/report"
)

// turnPoll is how often to look for the grant: the kubelet itself takes a minute to bring it.
const turnPoll = time.Second

// adopt does what has to be done before files of others are replaced; the lock is held.
func (r *run) adopt(foreign []publish.Foreign, payload publish.Payload) error {
	if len(foreign) == 0 {
		return nil
	}
	if r.Turn != "" && !granted(r.Turn) {
		return r.waitLater(foreign[0], payload)
	}
	for _, file := range foreign {
		if err := r.backups().Keep(file); err != nil {
			return notKept(err)
		}
	}
	return nil
}

// waitLater reports, by failing, that only the grant is missing; the next attempt of this pod waits.
func (r *run) waitLater(first publish.Foreign, payload publish.Payload) error {
	if err := payload.Wait(); err != nil {
		return kept(err)
	}
	r.report.Waits = true
	return report.Failf(report.ForeignDriverPresent, "%s; it is replaced when its turn comes",
		publish.Differs(filepath.Join(filepath.Dir(r.report.Path), first.Name), first.SHA256))
}

// awaitTurn waits, in a pod that has reported all else already, for the grant, or until nothing is
// there any more that it would be needed for.
func (r *run) awaitTurn(ctx context.Context) error {
	if r.Turn == "" || !publish.Payload(r.Payload).Waits() {
		return nil
	}
	tick := time.NewTicker(turnPoll)
	defer tick.Stop()
	for {
		there, err := place.Look(r.place.Exec())
		if err != nil || there.Kind == place.Absent || granted(r.Turn) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the pod was ended while it waited for its turn to replace the driver of others")
		case <-tick.C:
		}
	}
}

// granted reads the file in which the kubelet shows what the operator has written onto the pod.
func granted(turn string) bool {
	data, err := os.ReadFile(turn)
	return err == nil && strings.TrimSpace(string(data)) == "true"
}

func (r *run) backups() publish.Backups {
	return publish.Backups{Parent: r.root.Real(filepath.Dir(r.dir)), Place: r.place}
}

// tellBackups warns of copies as long as they are there.
func (r *run) tellBackups() {
	var paths []string
	for _, path := range r.backups().List() {
		paths = append(paths, filepath.Join(filepath.Dir(r.dir), path))
	}
	if len(paths) > 0 {
		r.report.Warnings = append(r.report.Warnings,
			report.Warning{Reason: report.AdoptedWithBackup, Message: strings.Join(paths, ", ")})
	}
}

// notKept explains that a file of others could not be copied.
func notKept(err error) error {
	failure := report.AsFailure(report.FromHost(err, "keeping a copy of the driver that is there"))
	if failure.Reason == report.NoSpace {
		return failure
	}
	return report.Failf(report.PublishFailed, "the driver that is there cannot be copied to the directory above the "+
		"plugin directory, so nothing was replaced: %s", fmt.Sprint(err))
}
