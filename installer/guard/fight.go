package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"flexvolume.io/installer/report"
)

// What makes changes a fight. Only another installer writes this often; people who try things out
// stay below, and whoever writes less often does not make a kubelet run init more than some once a
// minute either. Whatever removes the driver or changes its mode may be a person for longer.
const (
	fightWindow  = 10 * time.Minute
	fightWrites  = 12 // in the window: content of others was there
	fightChanges = 50 // in the window: of any kind
	fightPause   = time.Minute
	fightTold    = 3 // changes in the message
)

// change is what somebody did to a driver that the guard had left whole.
type change struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// wrote tells who has a driver of their own from who only takes ours away.
func (c change) wrote() bool { return strings.Contains(c.What, contentChanged) }

// fight is with somebody else who wants other files in the driver's place. Each side undoes what
// the other did, and each time the kubelet has to run init again. This side can give way: while it
// lasts the guard repairs once a minute, which is enough to see whether the other one is still there.
type fight struct {
	On      bool     `json:"on,omitempty"`
	Changes []change `json:"changes,omitempty"` // in the window, the latest at the end
}

// changed notes a change.
func (f *fight) changed(what string, at time.Time) {
	f.forget(at)
	f.Changes = append(f.Changes, change{at, what})
	f.Changes = f.Changes[max(0, len(f.Changes)-fightChanges):]
	writes := 0
	for _, c := range f.Changes {
		if c.wrote() {
			writes++
		}
	}
	f.On = f.On || writes >= fightWrites || len(f.Changes) >= fightChanges
}

// forget drops what is too long ago, and what a clock that was set back has left in the future. A
// fight ends with the last change in it.
func (f *fight) forget(now time.Time) {
	f.Changes = slices.DeleteFunc(f.Changes, func(c change) bool {
		return c.At.After(now) || !c.At.After(now.Add(-fightWindow))
	})
	f.On = f.On && len(f.Changes) > 0
}

// ends says when the fight is over if nothing more happens; zero when there is none.
func (f *fight) ends() time.Time {
	if !f.On || len(f.Changes) == 0 {
		return time.Time{}
	}
	return f.Changes[len(f.Changes)-1].At.Add(fightWindow)
}

// restsUntil says when the guard may repair again after its last repair; zero for at once.
func (f *fight) restsUntil(lastRepair time.Time) time.Time {
	if !f.On {
		return time.Time{}
	}
	return lastRepair.Add(fightPause)
}

// failure is what to report while it lasts.
func (f *fight) failure() *report.Failure {
	last := f.Changes[max(0, len(f.Changes)-fightTold):]
	told := make([]string, len(last))
	for i, c := range last {
		told[i] = fmt.Sprintf("%s at %s", c.What, c.At.UTC().Format(time.RFC3339))
	}
	return report.Failf(report.Contested, "something else changes the driver's files again and again; the last changes: %s",
		strings.Join(told, "; "))
}
