package verify

import (
	"fmt"
	"time"

	"flexvolume.io/installer/report"
)

// slow is where an init begins to hurt: a kubelet does nothing else meanwhile.
const slow = 2 * time.Second

// Warnings tell what will hurt though a kubelet loads the driver.
func (v Verdict) Warnings() []report.Warning {
	var warnings []report.Warning
	if c := v.Capabilities; c != nil && c.Attach {
		reason := report.AttachMissing
		if v.SaysAttach {
			reason = report.AttachTrue
		}
		warnings = append(warnings, report.Warning{Reason: reason})
	}
	if v.Took > slow {
		took := v.Took.Round(100 * time.Millisecond)
		warnings = append(warnings, report.Warning{Reason: report.SlowInit, Message: fmt.Sprintf("init took %s", took)})
	}
	return warnings
}

// Unverified is the warning with which a driver is published that failed.
func Unverified(f *report.Failure) report.Warning {
	return report.Warning{Reason: report.Unverified, Message: fmt.Sprintf(
		"%s: %s; published because spec.verify.policy is Warn: should init fail in the kubelet, too, the kubelet "+
			"runs it 14 to 20 times for each pod that starts", f.Reason, f.Message)}
}
