package verify

import (
	"os"
	"strings"
	"testing"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// entry is a driver of the table that a kubelet is tried with, too.
type entry struct{ name, verdict, script string }

func readTable(t testing.TB) []entry {
	t.Helper()
	data, err := os.ReadFile("testdata/verdicts.txt")
	if err != nil {
		t.Fatal(err)
	}
	var table []entry
	for _, part := range strings.Split(string(data), "\n== ")[1:] { // before it stands what this is
		head, script, _ := strings.Cut(part, "\n")
		name, verdict, _ := strings.Cut(head, ": ")
		table = append(table, entry{name, verdict, script})
	}
	if len(table) < 60 {
		t.Fatalf("%d drivers", len(table))
	}
	return table
}

func TestDriversAreJudgedAsTheTableSays(t *testing.T) {
	root := testkit.NewHost(t)
	for _, entry := range readTable(t) {
		t.Run(entry.name, func(t *testing.T) {
			testkit.Write(t, root+"/"+entry.name, "#!/bin/sh\n"+entry.script)
			init := Init{Root: hostfs.Root(root), Driver: "/" + entry.name, Timeout: time.Minute}
			if entry.verdict == string(report.InitTimeout) {
				init.Timeout = 500 * time.Millisecond
			}
			_, err := init.Verify(t.Context())
			if got := word(err); got != entry.verdict {
				t.Errorf("%v, want %s", err, entry.verdict)
			}
		})
	}
}

// word is how the table calls a verdict.
func word(err error) string {
	if err == nil {
		return success
	}
	return string(report.AsFailure(err).Reason)
}
