package guard

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"flexvolume.io/installer/report"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func at(after time.Duration) time.Time { return start.Add(after) }

func wantExit(t *testing.T, b book, want time.Time) {
	t.Helper()
	if got := b.exitAt(DefaultLimits); !got.Equal(want) {
		t.Errorf("exits at %v after the start, want %v", got.Sub(start), want.Sub(start))
	}
}

func TestWithoutNewsThereIsNoExit(t *testing.T) {
	wantExit(t, book{}, time.Time{})
	wantExit(t, book{Repairs: 3, Reported: 3, LastReport: start}, time.Time{})
}

func TestTheGuardReportsOnceDriftHasBeenQuiet(t *testing.T) {
	var b book
	b.repaired(at(0))
	wantExit(t, b, at(5*time.Second))
	b.repaired(at(4 * time.Second))
	wantExit(t, b, at(9*time.Second))
}

func TestUnquietDriftIsReportedAfterTwoMinutes(t *testing.T) {
	var b book
	for s := range 130 {
		b.repaired(at(time.Duration(s) * time.Second))
	}
	wantExit(t, b, at(2*time.Minute))
}

func TestTheGuardExitsOnceIn11Minutes(t *testing.T) {
	var b book
	b.repaired(at(0))
	b.reported(at(5 * time.Second))
	wantExit(t, b, time.Time{})
	b.repaired(at(time.Minute))
	wantExit(t, b, at(5*time.Second+11*time.Minute))
	b.reported(at(5*time.Second + 11*time.Minute))
	b.repaired(at(time.Hour))
	wantExit(t, b, at(time.Hour+5*time.Second))
	if b.Repairs != 3 || !b.LastRepair.Equal(at(time.Hour)) {
		t.Errorf("%+v", b)
	}
}

func TestAFailureIsNewsOnceAndSoIsItsEnd(t *testing.T) {
	var b book
	b.failing(report.PluginDirReadOnly, at(0))
	b.failing(report.PluginDirReadOnly, at(4*time.Second))
	wantExit(t, b, at(5*time.Second))
	b.reported(at(5 * time.Second))
	b.failing(report.PluginDirReadOnly, at(time.Minute))
	wantExit(t, b, time.Time{})
	b.failing("", at(time.Hour))
	wantExit(t, b, at(time.Hour+5*time.Second))
}

func TestAFailureThatPassedUnreportedIsNoNews(t *testing.T) {
	var b book
	b.failing(report.PublishFailed, at(0))
	b.failing("", at(time.Second))
	wantExit(t, b, time.Time{})
}

func TestTheBookOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guard.json")
	b, err := loadBook(path, start)
	if err != nil || !reflect.DeepEqual(b, book{}) {
		t.Fatalf("%+v, %v", b, err)
	}
	b.repaired(at(0))
	b.reported(at(5 * time.Second))
	b.repaired(at(time.Minute))
	if err := b.save(path); err != nil {
		t.Fatal(err)
	}
	back, err := loadBook(path, at(time.Hour))
	if err != nil || !reflect.DeepEqual(back, b) {
		t.Errorf("%+v, %v, want %+v", back, err, b)
	}
	// The clock was set back: the next report must not wait for the old time.
	back, err = loadBook(path, at(-24*time.Hour))
	if err != nil || !back.LastReport.Equal(at(-24*time.Hour)) {
		t.Errorf("%+v, %v", back, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := loadBook(path, start); err != nil || !reflect.DeepEqual(b, book{}) {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestTheLogIsShort(t *testing.T) {
	var text strings.Builder
	l := log{to: &text, last: map[string]string{}}
	for range 3 {
		l.about("watch", "no inotify")
		l.about("place", "standing down")
	}
	for i := range 15 {
		l.repair(at(time.Duration(i)*100*time.Millisecond), "content changed")
	}
	l.about("place", "standing down")
	want := "guard: no inotify\nguard: standing down\nguard: repaired: content changed\n" +
		"guard: repaired: content changed (and 9 repairs before)\nguard: standing down\n"
	if text.String() != want {
		t.Errorf("%s", text.String())
	}
}

func TestAFileThatChangedJustNowIsHashedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	cache := hashCache{}
	for _, content := range []string{"a", "b", "c"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		first, err := cache.sum(path)
		if err != nil || len(cache) != 0 {
			t.Errorf("%s: %s, %v, remembered %+v", content, first, err, cache)
		}
	}
}
