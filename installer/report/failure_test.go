package report

import (
	"errors"
	"testing"
)

func TestAPanicIsAnInternalError(t *testing.T) {
	err := Safely(func() error { panic("surprise") })
	if got := AsFailure(err); got.Reason != InternalError || got.Message != "panic: surprise" {
		t.Errorf("%+v", got)
	}
	if want := errors.New("plain"); !errors.Is(Safely(func() error { return want }), want) {
		t.Error("an error did not come through")
	}
}
