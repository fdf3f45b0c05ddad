// Package publish puts a proven driver where the kubelet finds it.
package publish

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
)

// Policy says what becomes of files that nobody's record names and that lie where ours shall.
type Policy string

// Policies.
const (
	IfIdentical Policy = "IfIdentical" // taken over if they have our content
	Always      Policy = "Always"      // replaced, and a copy kept
	Never       Policy = "Never"       // left alone, also with our content
)

// Claimant is who wants the place, and with which content.
type Claimant struct {
	FlexDriver string
	Rivals     []string  // other live FlexDrivers that want the same vendor and driver
	Since      time.Time // start of this pod
	SHA256     string
	Files      []record.File
	Policy     Policy
}

// Foreign is a file of somebody else that is in the way and may be replaced.
type Foreign struct{ Name, SHA256 string }

// MayPublish says nil when the place is the claimant's to write; else whose it is. What it lets be
// replaced of somebody else's comes first. path is the executable's, for people.
//
// Another FlexDriver's record holds while that FlexDriver lives: it is a rival, or its pod has
// renewed the record since this pod began. An older one belongs to nobody any more.
func (c Claimant) MayPublish(now place.Current, path string) ([]Foreign, error) {
	switch now.Dir.Kind {
	case place.Absent:
		return nil, nil
	case place.Directory:
	default:
		return nil, refuse("%s is %s and not a directory (a link is lost when the kubelet restarts); remove it "+
			"from the node", filepath.Dir(path), now.Dir.What())
	}
	var foreign []Foreign
	judge := func(found place.Found, name, sha256 string) error {
		replace, err := c.mayTake(found, filepath.Join(filepath.Dir(path), name), sha256)
		if replace {
			foreign = append(foreign, Foreign{name, found.SHA256})
		}
		return err
	}
	var recorded []string
	if owner := now.Record; owner != nil {
		if err := c.against(owner); err != nil {
			return nil, err
		}
		recorded = owner.Names()
	} else if err := judge(now.Executable(), filepath.Base(path), c.SHA256); err != nil {
		return nil, err
	}
	for _, file := range c.Files {
		if slices.Contains(recorded, file.Name) {
			continue
		}
		if err := judge(now.Files[file.Name], file.Name, file.SHA256); err != nil {
			return nil, err
		}
	}
	return foreign, nil
}

// mayTake judges what lies at a path and is nobody's by any record; replace says that it differs.
func (c Claimant) mayTake(found place.Found, path, sha256 string) (replace bool, err error) {
	switch same := found.SHA256 == sha256; {
	case found.Kind == place.Absent:
		return false, nil
	case found.Kind != place.Regular:
		return false, refuse("%s is %s and not a regular file; remove it from the node", path, found.What())
	case c.Policy == Never:
		return false, refuse("%s was there before this operator, and spec.adoptionPolicy is Never; remove it from "+
			"the node, or allow to take it over", path)
	case same:
		return false, nil
	case c.Policy == Always:
		return true, nil
	}
	return false, refuse("%s; remove it from the node, install the same content, or set spec.adoptionPolicy to Always",
		Differs(path, found.SHA256))
}

// Differs says what lies in the way.
func Differs(path, sha256 string) string {
	return fmt.Sprintf("%s holds a file of other content (sha256 %.12s) that this operator did not install", path, sha256)
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

func refuse(format string, args ...any) error {
	return report.Failf(report.ForeignDriverPresent, format, args...)
}
