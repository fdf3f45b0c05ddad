package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAReportNeverExceedsItsLimitAndStaysValid(t *testing.T) {
	for name, message := range map[string]string{
		"plain":         strings.Repeat("a", 5000),
		"many bytes":    strings.Repeat("ä€", 3000),
		"escapes":       strings.Repeat(`"\`, 3000),
		"control bytes": strings.Repeat("\x00\x1b\n", 3000) + "end",
		"not UTF-8":     strings.Repeat("\xff", 5000),
		"just below":    strings.Repeat("a", 1900),
	} {
		r := Report{Component: Install, Result: Failed, Reason: InitFailed, Message: message, Path: "/p"}
		data := r.Encode()
		var back Report
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(data) > MaxBytes || back.Path != "/p" || back.Reason != InitFailed || back.Message == "" {
			t.Errorf("%s: %d bytes: %s", name, len(data), data)
		}
		if strings.ContainsAny(back.Message, "\n\x00\x1b") {
			t.Errorf("%s: not one line: %q", name, back.Message)
		}
	}
}

func TestWhatIsCutSaysSo(t *testing.T) {
	data := Report{Message: strings.Repeat("a", 5000)}.Encode()
	if !strings.Contains(string(data), `aaa..."`) {
		t.Errorf("%s", data)
	}
	if data := (Report{Message: "<&> short"}).Encode(); !strings.Contains(string(data), `"<&> short"`) {
		t.Errorf("%s", data)
	}
}

func TestErrorsOfTheHostGetTheirReason(t *testing.T) {
	for want, err := range map[Reason]error{
		PluginDirReadOnly: &os.PathError{Op: "open", Path: "/x", Err: syscall.EROFS},
		HostAccessDenied:  fmt.Errorf("wrapped: %w", syscall.EACCES),
		PublishFailed:     syscall.ENOSPC,
		InitTimeout:       fmt.Errorf("wrapped: %w", Failf(InitTimeout, "slow")),
	} {
		if got := AsFailure(FromHost(err, "trying")); got.Reason != want {
			t.Errorf("%v: %s, want %s", err, got.Reason, want)
		}
	}
	if FromHost(nil, "trying") != nil {
		t.Error("no error became one")
	}
	if got := AsFailure(errors.New("surprise")); got.Reason != InternalError || got.Error() != "InternalError: surprise" {
		t.Errorf("%v", got)
	}
}

func TestWriteReplacesWhatTheFileHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	r := Report{Component: Guard, Result: Installed}
	if err := r.WriteIfThere(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the file was made")
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("old", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteIfThere(path); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != `{"v":1,"component":"guard","result":"Installed"}` {
		t.Errorf("%s", data)
	}
}
