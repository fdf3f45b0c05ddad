package install

import (
	"context"
	"errors"
	"testing"
	"time"

	"flexvolume.io/installer/report"
)

func TestAFileIsCompleteOnceItStandsStill(t *testing.T) {
	file := sight{there: true, regular: true, inode: 1, size: 10, modified: 5}
	grown, newer, other, empty, pipe := file, file, file, file, file
	grown.size, newer.modified, other.inode, empty.size, pipe.regular = 11, 6, 2, 0, false
	start := time.Now()
	for name, test := range map[string]struct {
		looks []sight // one a second
		want  bool
	}{
		"nothing":         {[]sight{{}, {}, {}, {}}, false},
		"just there":      {[]sight{{}, {}, {}, file, file}, false},
		"there for 2 s":   {[]sight{{}, file, file, file}, true},
		"there at first":  {[]sight{file, file, file}, true},
		"growing":         {[]sight{file, file, grown, grown}, false},
		"written again":   {[]sight{file, file, newer, newer}, false},
		"replaced":        {[]sight{file, file, other, other}, false},
		"empty":           {[]sight{empty, empty, empty, empty}, false},
		"no regular file": {[]sight{pipe, pipe, pipe, pipe}, false},
		"gone again":      {[]sight{file, file, {}}, false},
	} {
		var s settling
		done := false
		for i, look := range test.looks {
			done = s.done(look, start.Add(time.Duration(i)*time.Second))
		}
		if done != test.want {
			t.Errorf("%s: %t", name, done)
		}
	}
}

func TestAPodThatEndsDoesNotWaitForItsDriver(t *testing.T) {
	ctx, end := context.WithCancel(context.Background())
	end()
	r := &run{Options: Options{Source: t.TempDir() + "/none", Settle: time.Hour}}
	err := r.settle(ctx)
	var failure *report.Failure
	if err == nil || errors.As(err, &failure) {
		t.Errorf("%v", err)
	}
}
