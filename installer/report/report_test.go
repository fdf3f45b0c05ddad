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

func TestLongPathsPushOutWhatMattersLeast(t *testing.T) {
	sum, dir := strings.Repeat("a", 64), "/"+strings.Repeat("d", 1023)
	whole := Report{
		Component: Install, Result: Failed, Reason: DirectoryMismatch, Message: strings.Repeat("why ", 1000),
		Revision: "r", SHA256: sum, Serving: Serving{"r", sum}, Owner: strings.Repeat("o", 253), BootID: sum[:36],
		Path: "/p", Interpreter: "/i", Kubelet: Seen{PluginDir: "/k", From: "file"},
		ControllerManager: Seen{PluginDir: "/c", From: "flag", Container: true},
	}
	const all = "path interpreter kubelet from controllerManager"
	for name, test := range map[string]struct {
		lengthen func(*Report)
		kept     string
	}{
		"nothing is long":        {func(*Report) {}, all},
		"path":                   {func(r *Report) { r.Path = dir }, all},
		"kubelet":                {func(r *Report) { r.Kubelet.PluginDir = dir }, all},
		"path, and where":        {func(r *Report) { r.Path, r.Kubelet.From = dir, dir }, "path interpreter kubelet controllerManager"},
		"path and kubelet":       {func(r *Report) { r.Path, r.Kubelet.PluginDir = dir, dir }, "interpreter kubelet controllerManager"},
		"interpreter, kubelet":   {func(r *Report) { r.Interpreter, r.Kubelet.PluginDir = dir, dir }, "kubelet controllerManager"},
		"both processes":         {func(r *Report) { r.ControllerManager.PluginDir, r.Kubelet.PluginDir = dir, dir }, "kubelet"},
		"all of them":            {func(r *Report) { r.Path, r.Kubelet.PluginDir, r.ControllerManager.PluginDir = dir, dir, dir }, "kubelet"},
		"kubelet beyond hope":    {func(r *Report) { r.Kubelet.PluginDir = dir + dir }, ""},
		"a path full of escapes": {func(r *Report) { r.Path = strings.Repeat(`"`, 1024) }, "interpreter kubelet controllerManager"},
		"of many bytes":          {func(r *Report) { r.Path = strings.Repeat("€", 1024); r.Kubelet.PluginDir = r.Path }, ""},
	} {
		r := whole
		test.lengthen(&r)
		data := r.Encode()
		var back Report
		if err := json.Unmarshal(data, &back); err != nil || len(data) > MaxBytes {
			t.Errorf("%s: %d bytes, %v: %s", name, len(data), err, data)
		}
		for part, there := range map[string]bool{
			"path": back.Path != "", "interpreter": back.Interpreter != "", "kubelet": back.Kubelet.PluginDir != "",
			"from": back.Kubelet.From != "", "controllerManager": back.ControllerManager != (Seen{}),
		} {
			if kept := strings.Contains(test.kept, part); there != kept {
				t.Errorf("%s: %s is there: %t, want %t", name, part, there, kept)
			}
		}
		if back.Serving != r.Serving || back.Reason != r.Reason || len(back.Message) < leastMessage-len("...") {
			t.Errorf("%s: left is %s", name, data)
		}
	}
}

func TestLongListsAreCutAtTheirEnds(t *testing.T) {
	sum, name := strings.Repeat("a", 64), strings.Repeat("n", 500)
	foreign, pods, warnings := []Foreign{}, []string{}, []Warning{}
	for range 6 {
		foreign = append(foreign, Foreign{name + "/d", sum, "Success"})
		warnings = append(warnings, Warning{AdoptedWithBackup, "\n" + name})
	}
	for range 200 {
		pods = append(pods, sum[:36])
	}
	for name, test := range map[string]struct {
		report  Report
		foreign int
		pods    bool
		warning int // bytes of each message at least
	}{
		"foreign drivers":       {Report{Foreign: foreign, ForeignCount: 6}, 2, false, 0},
		"of many escapes":       {Report{Foreign: []Foreign{{strings.Repeat("\x01", 500), sum, "Success"}}, ForeignCount: 1}, 0, false, 0},
		"pods":                  {Report{Pods: pods}, 0, true, 0},
		"warnings":              {Report{Warnings: warnings}, 0, false, enoughWarning},
		"warnings full of them": {Report{Warnings: []Warning{{SlowInit, strings.Repeat("\x01\"", 1000)}}}, 0, false, enoughWarning},
		"everything":            {Report{Foreign: foreign, ForeignCount: 6, Pods: pods, Warnings: warnings}, 0, true, enoughWarning},
	} {
		test.report.Message, test.report.Serving = strings.Repeat("why ", 1000), Serving{"r", sum}
		data := test.report.Encode()
		var back Report
		if err := json.Unmarshal(data, &back); err != nil || len(data) > MaxBytes {
			t.Errorf("%s: %d bytes, %v: %s", name, len(data), err, data)
		}
		if len(back.Foreign) != test.foreign || back.ForeignCount != test.report.ForeignCount || len(back.Pods) > 0 != test.pods ||
			len(back.Warnings) != len(test.report.Warnings) || len(back.Message) < leastMessage || back.Serving.SHA256 != sum {
			t.Errorf("%s: left is %s", name, data)
		}
		for _, warning := range back.Warnings {
			if len(warning.Message) < test.warning || strings.ContainsAny(warning.Message, "\n\x01") {
				t.Errorf("%s: warning %q", name, warning.Message)
			}
		}
	}
	if len(warnings[0].Message) != 501 || len(foreign) != 6 {
		t.Error("what was given was changed")
	}
}

func TestAnInterpreterIsOneLine(t *testing.T) {
	if data := (Report{Interpreter: "/bin/sh\r"}).Encode(); !strings.Contains(string(data), `"/bin/sh"`) {
		t.Errorf("%s", data)
	}
}

func TestErrorsOfTheHostGetTheirReason(t *testing.T) {
	for err, want := range map[error]Reason{
		&os.PathError{Op: "open", Path: "/x", Err: syscall.EROFS}: PluginDirReadOnly,
		fmt.Errorf("wrapped: %w", syscall.EACCES):                 PermissionDenied,
		syscall.EPERM:  PermissionDenied,
		syscall.ENOSPC: NoSpace,
		syscall.EDQUOT: NoSpace,
		syscall.EBUSY:  PublishFailed,
		fmt.Errorf("wrapped: %w", Failf(InitTimeout, "slow")): InitTimeout,
	} {
		got := AsFailure(FromHost(err, "trying"))
		if got.Reason != want {
			t.Errorf("%v: %s, want %s", err, got.Reason, want)
		}
		if want != InitTimeout && !errors.Is(got, err) {
			t.Errorf("%v is not told as the cause", err)
		}
	}
	if FromHost(nil, "trying") != nil {
		t.Error("no error became one")
	}
	if got := AsFailure(fmt.Errorf("the pod's own volume: %w", syscall.ENOSPC)); got.Reason != NoSpace {
		t.Errorf("%v", got)
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
