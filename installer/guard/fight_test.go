package guard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"flexvolume.io/installer/report"
)

// every makes changes of a kind at equal distances.
func every(distance time.Duration, count int, what string) []change {
	var changes []change
	for i := range count {
		changes = append(changes, change{at(time.Duration(i) * distance), what})
	}
	return changes
}

func TestWhatIsAFight(t *testing.T) {
	const missing, mode, others = "executable missing", "mode -rw-r--r--", contentChanged
	for name, test := range map[string]struct {
		changes []change
		want    bool
	}{
		"nothing":                               {nil, false},
		"a person deletes it twice":             {every(10*time.Second, 2, missing), false},
		"a person replaces it ten times":        {every(3*time.Second, 10, others), false},
		"an installer at full speed":            {every(300*time.Millisecond, 12, others), true},
		"an installer that looks every 5 s":     {every(5*time.Second, 12, others), true},
		"an installer that looks every 50 s":    {every(50*time.Second, 12, others), true},
		"an installer that looks every minute":  {every(time.Minute, 100, others), false},
		"one that writes content and mode":      {every(time.Second, 12, others+", "+mode), true},
		"a person tries all kinds for a minute": {append(every(2*time.Second, 20, missing), every(6*time.Second, 10, others)...), false},
		"something removes it every 10 s":       {every(10*time.Second, 50, missing), true},
		"something changes its mode for ever":   {every(time.Second, 1000, mode), true},
		"something removes it every half hour":  {every(30*time.Minute, 100, missing), false},
	} {
		var f fight
		for _, c := range test.changes {
			f.changed(c.What, c.At)
		}
		if f.On != test.want || len(f.Changes) > fightChanges {
			t.Errorf("%s: %t, %d changes kept", name, f.On, len(f.Changes))
		}
	}
}

// fought is a fight of which the last change was at(11 * time.Second).
func fought() fight {
	var f fight
	for _, c := range every(time.Second, fightWrites, contentChanged) {
		f.changed(c.What, c.At)
	}
	return f
}

func TestAFightEndsTenMinutesAfterItsLastChange(t *testing.T) {
	f := fought()
	end := at(11*time.Second + 10*time.Minute)
	if !f.ends().Equal(end) {
		t.Errorf("ends %s after the start", f.ends().Sub(start))
	}
	f.forget(end.Add(-time.Nanosecond))
	if !f.On {
		t.Error("ended too soon")
	}
	// One change a minute, as many as the guard lets happen, keep it alive.
	for m := range 30 {
		f.changed(contentChanged, at(time.Duration(m+1)*time.Minute))
		if !f.On {
			t.Fatalf("ended in minute %d", m)
		}
	}
	f.forget(at(40 * time.Minute))
	if f.On || len(f.Changes) != 0 || !f.ends().IsZero() {
		t.Errorf("%+v", f)
	}
}

func TestInAFightThereIsOneRepairAMinute(t *testing.T) {
	var peace fight
	if got := peace.restsUntil(at(0)); !got.IsZero() {
		t.Errorf("rests until %s", got)
	}
	f := fought()
	if got := f.restsUntil(at(0)); !got.Equal(at(time.Minute)) {
		t.Errorf("rests until %s after the start", got.Sub(start))
	}
}

func TestAClockThatIsSetBackMakesNoFightLastLonger(t *testing.T) {
	f := fought()
	f.changed(contentChanged, at(-time.Hour))
	if f.On || len(f.Changes) != 1 {
		t.Errorf("%+v", f)
	}
}

func TestAFightIsToldWithItsLastChanges(t *testing.T) {
	f := fought()
	failure := f.failure()
	for second := range 12 {
		told := strings.Contains(failure.Message, fmt.Sprintf("content changed at 2026-03-04T05:06:%02dZ", second+7))
		if told != (second >= 9) {
			t.Errorf("second %d: %t in %q", second, told, failure.Message)
		}
	}
	if failure.Reason != report.Contested {
		t.Errorf("%+v", failure)
	}
}
