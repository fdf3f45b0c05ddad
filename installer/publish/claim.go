// Package publish puts a proven driver where the kubelet finds it.
package publish

import (
	"fmt"
	"slices"
	"time"

	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
)

// Claimant is who wants the place, and with which content.
type Claimant struct {
	FlexDriver string
	Rivals     []string  // other live FlexDrivers that want the same vendor and driver
	Since      time.Time // start of this pod
	SHA256     string
}

// MayPublish says nil when the place is the claimant's to write; else whose it is.
//
// Another FlexDriver's record holds while that FlexDriver lives: it is a rival, or its pod has
// renewed the record since this pod began. An older one belongs to nobody any more.
func (c Claimant) MayPublish(now place.Current, path string) error {
	if now.Dir.Kind == place.Absent {
		return nil
	}
	if now.Dir.Kind != place.Directory {
		return foreign("%s is no directory (a symbolic link there is lost when the kubelet restarts)", path)
	}
	if owner := now.Record; owner != nil {
		return c.against(owner)
	}
	switch {
	case now.Exec.Kind == place.Absent, now.Holds(c.SHA256):
		return nil
	case now.Exec.Kind != place.Regular:
		return foreign("%s is no regular file", path)
	}
	return foreign("%s holds a driver of other content (sha256 %.12s) that this operator did not install", path, now.SHA256)
}

func (c Claimant) against(owner *record.Record) error {
	live := slices.Contains(c.Rivals, owner.FlexDriver) || !owner.VerifiedAt.Before(c.Since)
	if owner.FlexDriver == c.FlexDriver || !live {
		return nil
	}
	failure := report.Failf(report.DuplicateDriver,
		"FlexDriver %q installs the same vendor and driver on this node and was here first; make their "+
			"placements disjoint or delete one", owner.FlexDriver)
	failure.Owner = owner.FlexDriver
	return failure
}

func foreign(format string, args ...any) error {
	return report.Failf(report.ForeignDriver, "%s; remove it from the node, or install the same content",
		fmt.Sprintf(format, args...))
}
