package publish

import (
	"os"
	"strings"
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
		"a link for the directory":        {place.Current{Dir: place.Entry{Kind: place.Other}}, report.ForeignDriverPresent, ""},
		"a file for the directory":        {place.Current{Dir: place.Entry{Kind: place.Regular}}, report.ForeignDriverPresent, ""},
		"the same content":                {file(place.Regular, "mine"), "", ""},
		"other content":                   {file(place.Regular, "theirs"), report.ForeignDriverPresent, ""},
		"a link for the file":             {file(place.Other, ""), report.ForeignDriverPresent, ""},
		"a directory for the file":        {file(place.Directory, ""), report.ForeignDriverPresent, ""},
		"our record":                      {owned("me", before, "older"), "", ""},
		"our record, renewed meanwhile":   {owned("me", after, "older"), "", ""},
		"our record, a link for the file": {place.Current{Dir: there.Dir, Exec: place.Entry{Kind: place.Other}, Record: &record.Record{FlexDriver: "me"}}, "", ""},
		"a rival's old record":            {owned("rival", before, "theirs"), report.DuplicateDriver, "rival"},
		"a rival with our content":        {owned("rival", before, "mine"), report.DuplicateDriver, "rival"},
		"a stranger renewed meanwhile":    {owned("stranger", after, "theirs"), report.DuplicateDriver, "stranger"},
		"a stranger at the same instant":  {owned("stranger", since, "theirs"), report.DuplicateDriver, "stranger"},
		"a stranger's old record":         {owned("stranger", before, "theirs"), "", ""},
	} {
		_, err := me.MayPublish(test.now, "/dir/v~d/d")
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

func TestThePolicyDecidesAboutFilesThatNobodyRecorded(t *testing.T) {
	dir := place.Entry{Kind: place.Directory}
	lies := func(exec, jq place.Found, record *record.Record) place.Current {
		return place.Current{Dir: dir, Exec: exec.Entry, SHA256: exec.SHA256, Record: record, Files: map[string]place.Found{"jq": jq}}
	}
	file := func(sum string) place.Found {
		return place.Found{Entry: place.Entry{Kind: place.Regular}, SHA256: sum}
	}
	none, link := place.Found{}, place.Found{Entry: place.Entry{Kind: place.Other, Type: os.ModeSymlink}}
	ours := &record.Record{FlexDriver: "me"}
	oursWithJq := &record.Record{FlexDriver: "me", Leaving: []record.File{{Name: "jq"}}}
	for name, test := range map[string]struct {
		now  place.Current
		want map[Policy]string // "ok", the names to replace, or a word of the refusal
	}{
		"an empty directory":       {lies(none, none, nil), map[Policy]string{IfIdentical: "ok", Always: "ok", Never: "ok"}},
		"the same":                 {lies(file("mine"), file("jq1"), nil), map[Policy]string{IfIdentical: "ok", Always: "ok", Never: "/v~d/d was there before"}},
		"another driver":           {lies(file("theirs"), file("jq1"), nil), map[Policy]string{IfIdentical: "/v~d/d holds", Always: "d:theirs", Never: "Never"}},
		"another file":             {lies(file("mine"), file("jq2"), nil), map[Policy]string{IfIdentical: "/v~d/jq holds", Always: "jq:jq2", Never: "Never"}},
		"both others":              {lies(file("theirs"), file("jq2"), nil), map[Policy]string{IfIdentical: "/v~d/d holds", Always: "d:theirs jq:jq2", Never: "Never"}},
		"a link":                   {lies(link, none, nil), map[Policy]string{IfIdentical: "symbolic link", Always: "symbolic link", Never: "symbolic link"}},
		"a linked file":            {lies(none, link, nil), map[Policy]string{IfIdentical: "jq is a symbolic link", Always: "jq is a symbolic link", Never: "jq is a symbolic link"}},
		"ours and another file":    {lies(file("older"), file("jq2"), ours), map[Policy]string{IfIdentical: "/v~d/jq holds", Always: "jq:jq2", Never: "/v~d/jq was there"}},
		"ours and a file that was": {lies(file("older"), file("jq2"), oursWithJq), map[Policy]string{IfIdentical: "ok", Always: "ok", Never: "ok"}},
	} {
		for policy, want := range test.want {
			me := Claimant{FlexDriver: "me", SHA256: "mine", Files: []record.File{{Name: "jq", SHA256: "jq1"}}, Policy: policy}
			foreign, err := me.MayPublish(test.now, "/dir/v~d/d")
			var got []string
			for _, f := range foreign {
				got = append(got, f.Name+":"+f.SHA256)
			}
			answer := strings.Join(got, " ")
			switch {
			case err != nil && report.AsFailure(err).Reason == report.ForeignDriverPresent && strings.Contains(err.Error(), want):
			case err == nil && (answer == want || answer == "" && want == "ok"):
			default:
				t.Errorf("%s, %s: %q, %v, want %q", name, policy, answer, err, want)
			}
		}
	}
}
