package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
)

// Limits say when the guard exits to report. A container that ends too often is restarted ever
// later and guards nothing meanwhile; the kubelet forgets a restart after 10 minutes.
type Limits struct {
	Quiet   time.Duration // no news for so long
	Latest  time.Duration // after the first unreported news
	Between time.Duration // between two exits
}

// DefaultLimits are those of a real guard.
var DefaultLimits = Limits{Quiet: 5 * time.Second, Latest: 2 * time.Minute, Between: 11 * time.Minute}

// book keeps, over restarts of the container, what happened and what of it has been reported.
type book struct {
	Repairs    int       `json:"repairs"`
	LastRepair time.Time `json:"lastRepair,omitzero"`
	Reported   int       `json:"reported"` // how many of the repairs
	LastReport time.Time `json:"lastReport,omitzero"`

	Failure         report.Reason `json:"failure,omitempty"` // why the last repair failed
	ReportedFailure report.Reason `json:"reportedFailure,omitempty"`

	FirstNews time.Time `json:"firstNews,omitzero"` // unreported
	LastNews  time.Time `json:"lastNews,omitzero"`

	Fight fight `json:"fight,omitzero"`
}

func (b *book) repaired(at time.Time) {
	b.Repairs++
	b.LastRepair = at
	b.news(at)
}

// failing notes why repairs fail now; empty when they do not.
func (b *book) failing(reason report.Reason, at time.Time) {
	if b.Failure != reason {
		b.Failure = reason
		b.news(at)
	}
}

func (b *book) news(at time.Time) {
	if b.FirstNews.IsZero() {
		b.FirstNews = at
	}
	b.LastNews = at
}

func (b *book) reported(at time.Time) {
	b.Reported, b.ReportedFailure, b.LastReport = b.Repairs, b.Failure, at
	b.FirstNews, b.LastNews = time.Time{}, time.Time{}
}

// exitAt says when to exit to report; zero when there is nothing to say.
func (b *book) exitAt(l Limits) time.Time {
	if b.Repairs == b.Reported && b.Failure == b.ReportedFailure {
		return time.Time{}
	}
	at := earliest(b.LastNews.Add(l.Quiet), b.FirstNews.Add(l.Latest))
	if next := b.LastReport.Add(l.Between); !b.LastReport.IsZero() && next.After(at) {
		return next
	}
	return at
}

// loadBook reads the book; a missing or damaged one starts anew, for a count is not worth a guard.
func loadBook(path string, now time.Time) (book, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return book{}, nil
	}
	if err != nil {
		return book{}, err
	}
	var b book
	if json.Unmarshal(data, &b) != nil {
		return book{}, nil
	}
	if b.LastReport.After(now) { // the clock was set back
		b.LastReport = now
	}
	if b.LastRepair.After(now) {
		b.LastRepair = now
	}
	return b, nil
}

func (b *book) save(path string) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return hostfs.Replace(path, 0o644, bytes.NewReader(data))
}

// earliest of the times that are set.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
