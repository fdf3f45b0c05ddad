// Package guard keeps a published driver as install left it. It repairs without exiting, because a
// container that ends on every drift is soon restarted too late to guard anything.
package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/publish"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/selinux"
)

// Options are the flags of guard.
type Options struct {
	PluginDir string // as the kubelet knows it, for reports only
	Plugins   string // the plugin directory as mounted
	Vendor    string
	Driver    string
	InstallID string
	Payload   string
	Idle      bool   // guard nothing: the driver is not installed
	Book      string // file in which counts outlive a restart
	Limits    Limits
	Log       io.Writer
}

// Intervals between looks.
const (
	slow     = 10 * time.Minute       // all is well and inotify tells of changes
	mounted  = 5 * time.Second        // the plugin directory is a mount, whose end nothing tells of
	polling  = 2 * time.Second        // inotify is exhausted
	gap      = 200 * time.Millisecond // between two looks, whatever happens: no fight at full speed
	firstTry = time.Second            // after a repair that failed, doubled up to lastTry
	lastTry  = time.Minute
)

type guard struct {
	Options
	keeper  keeper
	watch   watch
	mounts  mounts
	book    book
	log     log
	failure *report.Failure
	resting bool          // what is to be repaired now is known, and not repaired yet
	pause   time.Duration // between looks while all is well
	retry   time.Duration
	last    time.Time // of the looks
	next    time.Time
	deep    time.Time // when to read the file though nothing told of a change
}

// Run guards until there is something to report, the plugin directory is replaced, or ctx ends.
// An InternalError means that it could not guard at all.
func Run(ctx context.Context, o Options) report.Report {
	if o.Idle {
		fmt.Fprintln(o.Log, "guard: waits for its end; the driver is not installed")
		<-ctx.Done()
		return report.Report{Component: report.Guard, Result: report.WouldInstall}
	}
	g, err := begin(o)
	if err != nil {
		r := report.Report{Component: report.Guard}
		r.Fail(report.Failf(report.InternalError, "%v", err))
		return r
	}
	defer g.watch.close()
	g.mounts = hearMounts()
	defer g.mounts.close()
	for {
		replaced := g.look()
		now := time.Now()
		if exit := g.book.exitAt(o.Limits); replaced || (!exit.IsZero() && !now.Before(exit)) {
			g.book.reported(now)
			g.save()
			return g.report()
		}
		if !g.wait(ctx) {
			return g.report()
		}
	}
}

func begin(o Options) (*guard, error) {
	payload := publish.Payload(o.Payload)
	recorded, err := payload.Record()
	if err != nil {
		return nil, err
	}
	if recorded.InstallID != o.InstallID {
		return nil, fmt.Errorf("the payload in %s is of install id %q, not %q", o.Payload, recorded.InstallID, o.InstallID)
	}
	if err := checkPayload(payload, recorded); err != nil {
		return nil, err
	}
	origin, err := os.Stat(o.Plugins)
	if err != nil {
		return nil, err
	}
	b, err := loadBook(o.Book, time.Now())
	if err != nil {
		return nil, err
	}
	at := place.Place{PluginDir: o.Plugins, Vendor: o.Vendor, Driver: o.Driver}
	pause := slow
	if mayBeUnmounted(o.Plugins, filepath.Clean(o.PluginDir)) {
		pause = mounted
	}
	return &guard{
		Options: o,
		keeper: keeper{
			place: at, payload: payload, record: *recorded, origin: origin,
			follows: follows(at.PluginDir), hash: hashCache{},
		},
		watch: watch{place: at, files: recorded.ExtraFiles},
		book:  b,
		log:   log{to: o.Log, last: map[string]string{}},
		pause: pause,
		retry: firstTry,
	}, nil
}

// checkPayload makes sure that a repair makes nothing worse.
func checkPayload(payload publish.Payload, recorded *record.Record) error {
	wanted := map[string]string{payload.Driver(): recorded.SHA256}
	for _, file := range recorded.ExtraFiles {
		wanted[payload.File(file.Name)] = file.SHA256
	}
	for path, want := range wanted {
		sum, err := hostfs.HashFile(path)
		if err != nil {
			return err
		}
		if sum != want {
			return fmt.Errorf("the payload is damaged: %s has sha256 %s, not %s", path, sum, want)
		}
	}
	return nil
}

// look checks once and plans the next look; it says whether the plugin directory was replaced.
func (g *guard) look() (replaced bool) {
	g.last = time.Now()
	g.next = g.last.Add(g.pause)
	if err := g.watch.ensure(); err != nil {
		g.log.about("watch", "no inotify (%v): looking every %s", err, polling)
		g.next = g.last.Add(polling)
	}
	if !g.last.Before(g.deep) {
		g.keeper.hash.forget()
		g.deep = g.last.Add(slow)
	}
	g.book.Fight.forget(g.last)
	again := g.book.Fight.restsUntil(g.book.LastRepair)
	drifted, err := g.keeper.check(g.last.Before(again))
	now := time.Now()
	switch {
	case errors.Is(err, errResting):
		g.changed(drifted, now)
		g.resting = true
		g.well(now)
		g.save()
		g.next = earliest(g.next, again)
	case err == nil && drifted != "":
		g.log.repair(now, drifted)
		g.changed(drifted, now)
		g.resting = false
		g.book.repaired(now)
		g.well(now)
		g.save()
		g.soon(gap) // the repair may have made a directory that is not watched yet
	case err == nil:
		g.resting = false
		g.well(now)
		g.log.forget("place")
	case errors.Is(err, errReplaced):
		g.log.about("place", "%v", err)
		return true
	case errors.Is(err, errNotOurs):
		g.book.Fight, g.resting = fight{}, false
		g.well(now)
		g.log.about("place", "standing down: %v", err)
	case errors.Is(err, place.ErrBusy):
		g.soon(gap)
	default:
		g.fail(selinux.Name(report.AsFailure(report.FromHost(err, "repairing the driver")), "/"), now)
	}
	return false
}

func (g *guard) soon(after time.Duration) { g.next = earliest(g.next, g.last.Add(after)) }

// pace is how soon to look after an event. In a fight most of them call for nothing.
func (g *guard) pace() time.Duration {
	if g.book.Fight.On {
		return polling
	}
	return gap
}

// changed notes what others did, once for each time that the driver was whole before.
func (g *guard) changed(what string, now time.Time) {
	if !g.resting {
		g.book.Fight.changed(what, now)
	}
}

// well says that the guard can do its work, which in a fight is no good news yet.
func (g *guard) well(now time.Time) {
	g.failure, g.retry = nil, firstTry
	if !g.book.Fight.On {
		g.book.failing("", now)
		g.log.forget("fight")
		return
	}
	g.log.about("fight", "contested: something else changes the driver's files, repairing at most every %s", fightPause)
	g.failure = g.book.Fight.failure()
	g.book.failing(g.failure.Reason, now)
	g.next = earliest(g.next, g.book.Fight.ends())
}

func (g *guard) fail(f *report.Failure, now time.Time) {
	g.log.about("place", "cannot repair: %v", f)
	g.failure = f
	g.book.failing(f.Reason, now)
	g.save()
	g.soon(g.retry)
	g.retry = min(2*g.retry, lastTry)
}

// wait returns true when it is time to look or to report, false when ctx ends.
func (g *guard) wait(ctx context.Context) bool {
	for {
		until := earliest(g.next, g.book.exitAt(g.Limits))
		if !time.Now().Before(until) {
			return true
		}
		timer := time.NewTimer(time.Until(until))
		select {
		case <-ctx.Done():
			return false
		case event := <-g.watch.events():
			g.keeper.moved = g.keeper.moved || g.watch.tellsOfMove(event)
			if g.watch.concerns(event) {
				g.soon(g.pace())
			}
		case <-g.mounts.changed:
			g.soon(g.pace())
		case <-g.watch.errors():
			g.soon(g.pace())
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (g *guard) save() {
	if err := g.book.save(g.Book); err != nil {
		g.log.about("book", "cannot keep the count of repairs: %v", err)
	}
}

func (g *guard) report() report.Report {
	r := report.Report{
		Component: report.Guard,
		Result:    report.Installed,
		Revision:  g.keeper.record.Revision,
		Path:      place.Place{PluginDir: g.PluginDir, Vendor: g.Vendor, Driver: g.Driver}.Exec(),
		SHA256:    g.keeper.record.SHA256,
		BootID:    g.keeper.record.BootID,
		Repairs:   g.book.Repairs,
	}
	if !g.book.LastRepair.IsZero() {
		r.LastRepair = g.book.LastRepair.UTC().Format(time.RFC3339)
	}
	if now, err := g.keeper.place.Inspect(); err == nil {
		r.Serving = now.Serving()
	}
	if g.failure != nil {
		r.Fail(g.failure)
	}
	return r
}
