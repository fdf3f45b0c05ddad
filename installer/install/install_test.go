package install

import (
	"errors"
	"testing"

	"flexvolume.io/installer/report"
)

func TestAPanicIsAnInternalError(t *testing.T) {
	err := safely(func() error { panic("surprise") })
	if got := report.AsFailure(err); got.Reason != report.InternalError || got.Message != "panic: surprise" {
		t.Errorf("%+v", got)
	}
	if want := errors.New("plain"); !errors.Is(safely(func() error { return want }), want) {
		t.Error("an error did not come through")
	}
}
