// Package install takes a driver out of its image to its place on the node: found, staged, checked,
// proven by running its init, and only then published. A driver that fails any step is never
// visible to a kubelet, and the one that was there keeps serving.
package install

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/preflight"
	"flexvolume.io/installer/publish"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/stage"
	"flexvolume.io/installer/verify"
)

// Options are the flags of install.
type Options struct {
	Host          string
	PluginDir     string
	Vendor        string
	Driver        string
	Source        string
	FlexDriver    string
	FlexDriverUID string
	Revision      string
	InstallID     string
	Rivals        []string
	Verify        bool // false: policy Skip, only the plugin directory is visible below Host
	Timeout       time.Duration
	Payload       string
	Since         time.Time // start of this pod
}

// patience is how long other pods of the node may hold a lock; they do so for a few renames.
const patience = 20 * time.Second

type run struct {
	Options
	root   hostfs.Root
	dir    string // the plugin directory as a path of the node without links
	place  place.Place
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
	err := safely(func() error { return r.steps(ctx) })
	if err != nil {
		r.report.Fail(report.AsFailure(err))
	}
	// Also after a failure, of the installer itself too, people must know what a kubelet finds.
	_ = safely(func() error {
		r.report.Serving, err = r.serving()
		return err
	})
	return r.report
}

// safely turns a panic into an error.
func safely(do func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v", fault)
		}
	}()
	return do()
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
	if err := r.locate(); err != nil {
		return err
	}
	source, err := openSource(r.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	staged, err := stage.Open(stage.Where{
		Root: r.root, PluginDir: r.dir, Driver: r.Driver, ID: r.InstallID, InPluginDir: !r.Verify,
	}, patience)
	if err != nil {
		return report.FromHost(err, "staging the driver")
	}
	defer staged.Close()
	if r.report.SHA256, err = staged.Fill(source); err != nil {
		return report.FromHost(err, "staging the driver")
	}
	return r.proveAndPublish(ctx, staged)
}

func (r *run) proveAndPublish(ctx context.Context, staged *stage.Stage) error {
	now, err := r.place.Inspect()
	if err != nil {
		return report.FromHost(err, "reading what is installed")
	}
	// Asked again under the lock; asked here so that a driver of others costs no init.
	if err := r.claimant().MayPublish(now, r.report.Path); err != nil {
		return err
	}
	node := preflight.Node{Root: r.root, Arch: runtime.GOARCH, Partial: !r.Verify}
	if err := node.Check(staged.Driver()); err != nil {
		return err
	}
	if r.Verify {
		init := verify.Init{Root: r.root, Driver: staged.HostDriver(), Timeout: r.Timeout}
		if r.report.Capabilities, err = init.Verify(ctx); err != nil {
			return err
		}
	}
	payload := publish.Payload(r.Payload)
	proven, err := payload.PutDriver(staged.Driver())
	if err != nil {
		return fmt.Errorf("keeping a copy for the guard: %w", err)
	}
	if proven != r.report.SHA256 {
		return report.Failf(report.InitFailed, "the driver's init changed the driver's own file; "+
			"what a node runs must be what the image holds")
	}
	return r.publish(staged, payload)
}

func (r *run) publish(staged *stage.Stage, payload publish.Payload) error {
	lock, err := place.Lock(r.place.PluginDir, patience)
	if err != nil {
		return report.FromHost(err, "publishing the driver")
	}
	defer lock.Close()
	now, err := r.place.Inspect()
	if err != nil {
		return report.FromHost(err, "reading what is installed")
	}
	if err := r.claimant().MayPublish(now, r.report.Path); err != nil {
		return err
	}
	record := r.record(now)
	if err := payload.PutRecord(record); err != nil {
		return fmt.Errorf("keeping the record for the guard: %w", err)
	}
	r.report.Changed, err = publish.Put(r.place, staged, now, record)
	return report.FromHost(err, "publishing the driver")
}

func (r *run) claimant() publish.Claimant {
	return publish.Claimant{
		FlexDriver: r.FlexDriver, Rivals: r.Rivals, Since: r.Since, SHA256: r.report.SHA256,
	}
}

func (r *run) record(now place.Current) record.Record {
	at := time.Now().UTC().Truncate(time.Microsecond)
	installed := at
	if now.Record != nil && now.Record.SHA256 == r.report.SHA256 && now.Holds(r.report.SHA256) {
		installed = now.Record.InstalledAt
	}
	return record.Record{
		FlexDriver:  r.FlexDriver,
		UID:         r.FlexDriverUID,
		Revision:    r.Revision,
		SHA256:      r.report.SHA256,
		Files:       []string{r.Driver},
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
