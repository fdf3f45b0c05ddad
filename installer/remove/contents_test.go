package remove

import (
	"strings"
	"testing"

	"flexvolume.io/installer/inuse"
	"flexvolume.io/installer/place"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
)

func TestWhoseDriverItIs(t *testing.T) {
	there := place.Current{Dir: place.Entry{Kind: place.Directory}}
	recorded := func(uid string) place.Current {
		now := there
		now.Record = &record.Record{FlexDriver: "nfs", UID: uid}
		return now
	}
	for name, test := range map[string]struct {
		now   place.Current
		names []string
		may   bool
		words string
	}{
		"ours":                        {recorded("uid-1"), []string{"nfs"}, true, ""},
		"ours, without its files":     {recorded("uid-1"), nil, true, ""},
		"another FlexDriver's":        {recorded("uid-2"), []string{"nfs"}, false, `FlexDriver "nfs" with the uid uid-2, not uid-1`},
		"of a record without a uid":   {recorded(""), []string{"nfs"}, false, `"nfs"`},
		"without a record":            {there, []string{"nfs", "a", "b", "c", "d", "e"}, false, "it holds nfs, a, b, c, d, ..."},
		"an empty directory":          {there, nil, true, ""},
		"a link for the directory":    {place.Current{Dir: place.Entry{Kind: place.Other}}, nil, false, "/plugins/v~nfs is no directory"},
		"a file in the place of that": {place.Current{Dir: place.Entry{Kind: place.Regular}}, nil, false, "is no directory"},
	} {
		err := mayRemove(test.now, test.names, "uid-1", "/plugins/v~nfs/nfs")
		if (err == nil) != test.may {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			continue
		}
		if got := report.AsFailure(err); got.Reason != report.NotOwner || !strings.Contains(got.Message, test.words) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestVolumesInWords(t *testing.T) {
	names := map[string]string{"u1": "default/db-0"}
	for want, volumes := range map[string][]inuse.Volume{
		"the node has 1 volume of the driver: /devices/disk":               {{Path: "/devices/disk"}},
		"the node has 1 volume of the driver, in 1 pod (default/db-0): /a": {{Path: "/a", Pod: "u1"}},
		"the node has 3 volumes of the driver, in 2 pods (default/db-0): /a, /b, /c": {
			{Path: "/a", Pod: "u1"}, {Path: "/b", Pod: "u1"}, {Path: "/c", Pod: "u2"},
		},
		"the node has 6 volumes of the driver, in 1 pod: 1, 2, 3, 4, 5, ...": {
			{Path: "1", Pod: "u3"}, {Path: "2", Pod: "u3"}, {Path: "3", Pod: "u3"}, {Path: "4", Pod: "u3"}, {Path: "5", Pod: "u3"}, {Path: "6", Pod: "u3"},
		},
	} {
		if got := inWords(volumes, usedBy(volumes), names); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
