package report

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func loaded(t *testing.T) Contract {
	t.Helper()
	c, err := LoadContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestContractSamplesAreReadInFullAndWrittenTheSame(t *testing.T) {
	c := loaded(t)
	if c.ReportVersion != Version || len(c.Samples) == 0 {
		t.Fatalf("version %d, %d samples", c.ReportVersion, len(c.Samples))
	}
	for _, sample := range c.Samples {
		decoder := json.NewDecoder(bytes.NewReader(sample))
		decoder.DisallowUnknownFields()
		var r Report
		if err := decoder.Decode(&r); err != nil {
			t.Errorf("%s: %v", sample, err)
		}
		var want bytes.Buffer
		if err := json.Compact(&want, sample); err != nil {
			t.Fatal(err)
		}
		if got := r.Encode(); string(got) != want.String() {
			t.Errorf("written as %s, want %s", got, want.String())
		}
	}
}

func TestContractSamplesUseEveryField(t *testing.T) {
	used := map[string]bool{}
	for _, sample := range loaded(t).Samples {
		var fields map[string]any
		if err := json.Unmarshal(sample, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			used[name] = true
		}
	}
	shape := reflect.TypeFor[Report]()
	for i := range shape.NumField() {
		name, _, _ := strings.Cut(shape.Field(i).Tag.Get("json"), ",")
		if !used[name] {
			t.Errorf("no sample has %s", name)
		}
	}
}

func TestReasonsOfThisProgramAndOfTheContractAreTheSame(t *testing.T) {
	known := map[Reason]bool{}
	for _, reason := range Reasons {
		known[reason] = true
	}
	for reason, entry := range loaded(t).Reasons {
		ours := entry.By == "install" || entry.By == "guard" || entry.By == "remove"
		if ours != known[reason] {
			t.Errorf("%s is by %q in the contract; known here: %t", reason, entry.By, known[reason])
		}
		if entry.By != "operator" && !ours {
			t.Errorf("%s is by %q", reason, entry.By)
		}
		if entry.Meaning == "" || entry.Remedy == "" || !strings.HasSuffix(entry.Meaning, ".") || !strings.HasSuffix(entry.Remedy, ".") {
			t.Errorf("%s needs a meaning and a remedy, each one sentence: %+v", reason, entry)
		}
		delete(known, reason)
	}
	for reason := range known {
		t.Errorf("%s is not in the contract", reason)
	}
}

func TestWarningsOfThisProgramAndOfTheContractAreTheSame(t *testing.T) {
	warnings := loaded(t).Warnings
	for _, warning := range Warnings {
		if entry := warnings[warning]; entry.Meaning == "" || entry.Remedy == "" {
			t.Errorf("%s needs a meaning and a remedy in the contract", warning)
		}
	}
	if len(warnings) != len(Warnings) {
		t.Errorf("%d in the contract, %d here", len(warnings), len(Warnings))
	}
}

func TestEveryReasonHasItsRemedy(t *testing.T) {
	for _, reason := range Reasons {
		if Remedy(reason) == "" {
			t.Errorf("%s has none", reason)
		}
	}
}
