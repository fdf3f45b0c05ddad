// Package install takes a driver out of its image to its place on the node: found, staged, checked,
// proven by running its init, and only then published. A driver that fails any step is never
// visible to a kubelet, and the one that was there keeps serving.
package install

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/preflight"
	"flexvolume.io/installer/publish"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/selinux"
	"flexvolume.io/installer/stage"
)

// Options are the flags of install.
type Options struct {
	Host          string
	PluginDir     string
	Vendor        string
	Driver        string
	Source        string
	Settle        time.Duration // how long to wait for the source to come and to stand still; 0 for not at all
	Files         []File        // to lie beside the driver
	FlexDriver    string
	FlexDriverUID string
	Revision      string
	InstallID     string
	Rivals        []string
	Adoption      publish.Policy
	Turn          string // file that says when a driver of others may be replaced; empty: at once
	Role          Role
	Force         bool // install though the kubelet looks elsewhere
	Verify        bool // false: policy Skip, only the plugin directory is visible below Host
	Warn          bool // policy Warn: publish what our surroundings may have failed
	Requirements  preflight.Requirements
	DryRun        bool // publish nothing, but say what would become of it
	Timeout       time.Duration
	Payload       string
	Since         time.Time // start of this pod
}

type run struct {
	Options
	root   hostfs.Root
	dir    string // the plugin directory as a path of the node without links
	path   string // the kubelet's PATH; "": not known
	place  place.Place
	files  []record.File // as staged
	report report.Report
}

// Run installs and reports. It never panics: whatever happens has to reach the operator.
func Run(ctx context.Context, o Options) report.Report {
	r := &run{Options: o, root: hostfs.Root(o.Host)}
	r.report = report.Report{
		Component: report.Install,
		Result:    report.Installed,
		Revision:  o.Revision,
		Path:      r.publicPath(),
	}
	if o.DryRun {
		r.report.Result = report.WouldInstall
	}
	err := report.Safely(func() error { return r.steps(ctx) })
	if err != nil {
		r.report.Fail(selinux.Name(report.AsFailure(err), r.root))
	}
	if err != nil && !o.DryRun {
		_ = report.Safely(r.abandon)
	}
	// Also after a failure, of the installer itself too, people must know what a kubelet finds.
	_ = report.Safely(func() (err error) {
		r.report.Serving, err = r.serving()
		return err
	})
	_ = report.Safely(func() error { return r.listForeign(ctx) })
	return r.report
}

// publicPath is the executable's path as the kubelet knows it.
func (r *run) publicPath() string {
	return place.Place{PluginDir: filepath.Clean(r.PluginDir), Vendor: r.Vendor, Driver: r.Driver}.Exec()
}

func (r *run) steps(ctx context.Context) error {
	var err error
	if r.report.BootID, err = hostfs.BootID(r.Host); err != nil {
		return err
	}
	if err := r.confirm(); err != nil {
		return err
	}
	if err := r.locate(); err != nil {
		return err
	}
	if err := r.awaitTurn(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	sources, err := r.open()
	if err != nil {
		return err
	}
	defer sources.close()
	staged, err := stage.Open(stage.Where{
		Root: r.root, PluginDir: r.dir, Driver: r.Driver, ID: r.InstallID, InPluginDir: !r.Verify, Files: len(r.Files) > 0,
	}, place.Patience)
	if err != nil {
		return report.FromHost(err, "staging the driver")
	}
	defer staged.Close()
	if err := r.fill(staged, sources); err != nil {
		return report.FromHost(err, "staging the driver")
	}
	r.report.Interpreter = preflight.Interpreter(staged.Driver())
	return r.proveAndPublish(ctx, staged)
}

func (r *run) proveAndPublish(ctx context.Context, staged *stage.Stage) error {
	// Asked again under the lock; asked here so that a driver of others costs no init.
	if _, _, err := r.look(); err != nil {
		return err
	}
	if err := r.prove(ctx, staged.Tried()); err != nil {
		return err
	}
	if r.DryRun {
		return r.check(staged.Tried())
	}
	payload := publish.Payload(r.Payload)
	if err := r.keep(staged.Tried(), payload); err != nil {
		return err
	}
	return r.publish(staged, payload)
}

func (r *run) publish(staged *stage.Stage, payload publish.Payload) error {
	lock, err := place.Lock(r.place.PluginDir, place.Patience)
	if err != nil {
		return report.FromHost(err, "publishing the driver")
	}
	defer lock.Close()
	now, foreign, err := r.look()
	if err != nil {
		return err
	}
	if err := r.adopt(foreign, payload); err != nil {
		return err
	}
	record := r.record(now)
	if err := payload.PutRecord(record); err != nil {
		return kept(err)
	}
	if r.report.Changed, err = publish.Put(r.place, staged, now, record); err != nil {
		return report.FromHost(err, "publishing the driver")
	}
	r.tellBackups()
	return nil
}

// look says what lies in the place, and what of it is somebody else's and may be replaced.
func (r *run) look() (place.Current, []publish.Foreign, error) {
	now, err := publish.Look(r.place, r.files, hostfs.HashFile)
	if err != nil {
		return now, nil, report.FromHost(err, "reading what is installed")
	}
	foreign, err := r.claimant().MayPublish(now, r.report.Path)
	return now, foreign, err
}

// abandon takes away what a failed run, or a dead one before it, has begun.
func (r *run) abandon() error {
	if r.dir == "" {
		return nil
	}
	lock, err := place.Lock(r.place.PluginDir, time.Second) // who holds it longer does the same
	if err != nil {
		return err
	}
	defer lock.Close()
	now, err := publish.Look(r.place, nil, hostfs.HashFile)
	if err != nil {
		return err
	}
	return publish.Abandon(r.place, now, r.FlexDriver)
}

func (r *run) claimant() publish.Claimant {
	return publish.Claimant{
		FlexDriver: r.FlexDriver, Rivals: r.Rivals, Since: r.Since, SHA256: r.report.SHA256, Files: r.files,
		Policy: r.Adoption,
	}
}

func (r *run) record(now place.Current) record.Record {
	at := time.Now().UTC().Truncate(time.Microsecond)
	installed := at
	if now.Record != nil && now.Record.SHA256 == r.report.SHA256 && now.Holds(r.report.SHA256) &&
		slices.Equal(now.Record.ExtraFiles, r.files) {
		installed = now.Record.InstalledAt
	}
	return record.Record{
		FlexDriver:  r.FlexDriver,
		UID:         r.FlexDriverUID,
		Revision:    r.Revision,
		SHA256:      r.report.SHA256,
		ExtraFiles:  r.files,
		InstallID:   r.InstallID,
		BootID:      r.report.BootID,
		InstalledAt: installed,
		VerifiedAt:  at,
	}
}

func (r *run) serving() (report.Serving, error) {
	if r.dir == "" { // the plugin directory was not found
		return report.Serving{}, nil
	}
	now, err := r.place.Inspect()
	return now.Serving(), err
}
