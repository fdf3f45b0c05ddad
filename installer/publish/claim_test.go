package publish

import (
	"testing"
	"time"

	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
)

func TestWhoMayPublish(t *testing.T) {
	since := time.Now()
	me := Claimant{FlexDriver: "me", Rivals: []string{"rival"}, Since: since, SHA256: "mine"}
	there := place.Current{Dir: place.Entry{Kind: place.Directory}}
	file := func(kind place.Kind, sum string) place.Current {
		now := there
		now.Exec, now.SHA256 = place.Entry{Kind: kind}, sum
		return now
	}
	owned := func(by string, verified time.Time, sum string) place.Current {
		now := file(place.Regular, sum)
		now.Record = &record.Record{FlexDriver: by, VerifiedAt: verified}
		return now
	}
	before, after := since.Add(-time.Microsecond), since.Add(time.Microsecond)
	for name, test := range map[string]struct {
		now    place.Current
		reason report.Reason
		owner  string
	}{
		"nothing there":                   {place.Current{}, "", ""},
		"an empty directory":              {there, "", ""},
		"a link for the directory":        {place.Current{Dir: place.Entry{Kind: place.Other}}, report.ForeignDriver, ""},
		"a file for the directory":        {place.Current{Dir: place.Entry{Kind: place.Regular}}, report.ForeignDriver, ""},
		"the same content":                {file(place.Regular, "mine"), "", ""},
		"other content":                   {file(place.Regular, "theirs"), report.ForeignDriver, ""},
		"a link for the file":             {file(place.Other, ""), report.ForeignDriver, ""},
		"a directory for the file":        {file(place.Directory, ""), report.ForeignDriver, ""},
		"our record":                      {owned("me", before, "older"), "", ""},
		"our record, renewed meanwhile":   {owned("me", after, "older"), "", ""},
		"our record, a link for the file": {place.Current{Dir: there.Dir, Exec: place.Entry{Kind: place.Other}, Record: &record.Record{FlexDriver: "me"}}, "", ""},
		"a rival's old record":            {owned("rival", before, "theirs"), report.DuplicateDriver, "rival"},
		"a rival with our content":        {owned("rival", before, "mine"), report.DuplicateDriver, "rival"},
		"a stranger renewed meanwhile":    {owned("stranger", after, "theirs"), report.DuplicateDriver, "stranger"},
		"a stranger at the same instant":  {owned("stranger", since, "theirs"), report.DuplicateDriver, "stranger"},
		"a stranger's old record":         {owned("stranger", before, "theirs"), "", ""},
	} {
		err := me.MayPublish(test.now, "/dir/v~d/d")
		if err == nil {
			if test.reason != "" {
				t.Errorf("%s: may publish, want %s", name, test.reason)
			}
			continue
		}
		if got := report.AsFailure(err); got.Reason != test.reason || got.Owner != test.owner {
			t.Errorf("%s: %+v, want %s of %q", name, got, test.reason, test.owner)
		}
	}
}
