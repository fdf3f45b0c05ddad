// Package guard keeps a published driver as install left it. It repairs without exiting, because a
// container that ends on every drift is soon restarted too late to guard anything.
package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/publish"
	"flexvolume.io/installer/report"
)

// Options are the flags of guard.
type Options struct {
	PluginDir string // as the kubelet knows it, for reports only
	Plugins   string // the plugin directory as mounted
	Vendor    string
	Driver    string
	InstallID string
	Payload   string
	Book      string // file in which counts outlive a restart
	Limits    Limits
	Log       io.Writer
}

// Intervals between looks.
const (
	slow     = 10 * time.Minute       // all is well and inotify tells of changes
	polling  = 2 * time.Second        // inotify is exhausted
	gap      = 200 * time.Millisecond // between two looks, whatever happens: no fight at full speed
	firstTry = time.Second            // after a repair that failed, doubled up to lastTry
	lastTry  = time.Minute
)

type guard struct {
	Options
	keeper  keeper
	watch   watch
	book    book
	log     log
	failure *report.Failure
	retry   time.Duration
	last    time.Time // of the looks
	next    time.Time
	deep    time.Time // when to read the file though nothing told of a change
}

// Run guards until there is something to report, the plugin directory is replaced, or ctx ends.
// An InternalError means that it could not guard at all.
func Run(ctx context.Context, o Options) report.Report {
	g, err := begin(o)
	if err != nil {
		r := report.Report{Component: report.Guard}
		r.Fail(report.Failf(report.InternalError, "%v", err))
		return r
	}
	defer g.watch.close()
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
	sum, err := hostfs.HashFile(payload.Driver())
	if err != nil {
		return nil, err
	}
	if sum != recorded.SHA256 {
		return nil, fmt.Errorf("the payload in %s is damaged: sha256 %s, not %s", o.Payload, sum, recorded.SHA256)
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
	return &guard{
		Options: o,
		keeper:  keeper{place: at, payload: payload, record: *recorded, origin: origin},
		watch:   watch{place: at},
		book:    b,
		log:     log{to: o.Log, last: map[string]string{}},
		retry:   firstTry,
	}, nil
}

// look checks once and plans the next look; it says whether the plugin directory was replaced.
func (g *guard) look() (replaced bool) {
	g.last = time.Now()
	g.next = g.last.Add(slow)
	if err := g.watch.ensure(); err != nil {
		g.log.about("watch", "no inotify (%v): looking every %s", err, polling)
		g.next = g.last.Add(polling)
	}
	if !g.last.Before(g.deep) {
		g.keeper.hash.forget()
		g.deep = g.last.Add(slow)
	}
	repaired, err := g.keeper.check()
	now := time.Now()
	switch {
	case err == nil && repaired != "":
		g.log.repair(now, repaired)
		g.book.repaired(now)
		g.well(now)
		g.save()
		g.soon(gap) // the repair may have made a directory that is not watched yet
	case err == nil:
		g.well(now)
		g.log.forget("place")
	case errors.Is(err, errReplaced):
		g.log.about("place", "%v", err)
		return true
	case errors.Is(err, errNotOurs):
		g.well(now)
		g.log.about("place", "standing down: %v", err)
	case errors.Is(err, place.ErrBusy):
		g.soon(gap)
	default:
		g.fail(report.AsFailure(report.FromHost(err, "repairing the driver")), now)
	}
	return false
}

func (g *guard) soon(after time.Duration) { g.next = earliest(g.next, g.last.Add(after)) }

func (g *guard) well(now time.Time) {
	g.failure, g.retry = nil, firstTry
	g.book.failing("", now)
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
				g.soon(gap)
			}
		case <-g.watch.errors():
			g.soon(gap)
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
