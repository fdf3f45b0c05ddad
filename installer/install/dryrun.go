package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/preflight"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/stage"
	"flexvolume.io/installer/verify"
)

// Limits of what a dry run says about drivers of others.
const (
	maxForeign    = 6                // in the report; all are counted
	foreignBudget = 60 * time.Second // for the init of all of them
	leastTime     = time.Second      // below which an init is not started
	notRun        = "NotRun"
)

// check is what a dry run does where another one publishes.
func (r *run) check(tried *stage.Stage) error {
	err := unchanged(tried.Driver(), r.report.SHA256, "the driver's own file", hostfs.HashFile)
	for _, file := range r.files {
		if err == nil {
			err = unchanged(tried.File(file.Name), file.SHA256, fmt.Sprintf("%q beside it", file.Name), hostfs.HashFile)
		}
	}
	return err
}

// listForeign tells of the drivers in the plugin directory that no record vouches for, and what a
// kubelet gets from their init: they run here as they do at each start of a kubelet.
func (r *run) listForeign(ctx context.Context) error {
	if !r.DryRun || r.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(r.place.PluginDir)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(foreignBudget)
	for _, entry := range entries {
		vendor, driver, found := strings.Cut(entry.Name(), "~")
		at := place.Place{PluginDir: r.place.PluginDir, Vendor: vendor, Driver: driver}
		if !found || strings.HasPrefix(vendor, ".") || vendor == "" || driver == "" {
			continue
		}
		now, err := at.Inspect()
		if now.Record != nil {
			continue
		}
		if r.report.ForeignCount++; r.report.ForeignCount > maxForeign {
			continue
		}
		one := report.Foreign{Name: vendor + "/" + driver, SHA256: now.SHA256}
		if err != nil {
			one.Init = string(report.AsFailure(report.FromHost(err, "reading a driver")).Reason)
		} else {
			one.Init = r.foreignInit(ctx, at, now, deadline)
		}
		r.report.Foreign = append(r.report.Foreign, one)
	}
	return nil
}

// foreignInit is Success, the reason for which init fails, or NotRun.
func (r *run) foreignInit(ctx context.Context, at place.Place, now place.Current, deadline time.Time) string {
	if now.Dir.Kind != place.Directory || now.Exec.Kind != place.Regular {
		return string(report.InitNotExecutable) // missing, or a link that a kubelet may lose
	}
	timeout := min(r.Timeout, time.Until(deadline))
	if timeout < leastTime || ctx.Err() != nil {
		return notRun
	}
	node := preflight.Node{Root: r.root, Arch: runtime.GOARCH, Path: r.path}
	err := node.Check(at.Exec())
	if err == nil {
		path := filepath.Join(r.dir, at.Name(), at.Driver)
		_, err = verify.Init{Root: r.root, Driver: path, Path: r.path, Timeout: timeout}.Verify(ctx)
	}
	if err != nil {
		return string(report.AsFailure(err).Reason)
	}
	return "Success"
}
