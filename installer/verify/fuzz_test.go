package verify

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"flexvolume.io/installer/report"
)

// What a kubelet has (pkg/volume/flexvolume/driver-call.go), written down apart from what is tested.
type (
	driverStatus struct {
		Status           string              `json:"status"`
		Message          string              `json:"message,omitempty"`
		DevicePath       string              `json:"device,omitempty"`
		VolumeName       string              `json:"volumeName,omitempty"`
		Attached         bool                `json:"attached,omitempty"`
		Capabilities     *driverCapabilities `json:",omitempty"`
		ActualVolumeSize int64               `json:"volumeNewSize,omitempty"`
	}
	driverCapabilities struct {
		Attach           bool `json:"attach"`
		SELinuxRelabel   bool `json:"selinuxRelabel"`
		SupportsMetrics  bool `json:"supportsMetrics"`
		FSGroup          bool `json:"fsGroup"`
		RequiresFSResize bool `json:"requiresFSResize"`
	}
)

// kubelet is what a kubelet would do: handleCmdResponse, then Run, then NewFlexVolumePlugin.
func kubelet(output []byte, exit string) (driverStatus, string) {
	answer := driverStatus{Capabilities: &driverCapabilities{true, true, false, true, true}}
	switch err := json.Unmarshal(output, &answer); {
	case err != nil:
		return answer, string(report.InitInvalidOutput)
	case answer.Status == "Not supported":
		return answer, string(report.InitNotSupported)
	case answer.Status != "Success" || exit != "":
		return answer, string(report.InitFailed)
	case answer.Capabilities == nil:
		return answer, string(report.InitWouldCrashKubelet)
	}
	return answer, success
}

// maxSeed keeps the fuzzer from spending its time on making large inputs smaller.
const maxSeed = 4 << 10

func FuzzJudge(f *testing.F) {
	for _, entry := range readTable(f) {
		if strings.Contains(entry.script, "sleep") {
			continue
		}
		output, err := exec.Command("sh", "-c", entry.script, "driver", "init").CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			f.Fatal(err)
		}
		if len(output) < maxSeed {
			f.Add(output, exit != nil)
		}
	}
	f.Fuzz(func(t *testing.T, output []byte, failed bool) {
		exit := ""
		if failed {
			exit = "exit status 1"
		}
		answer, want := kubelet(output, exit)
		got, err := verdict(output, exit, false, 0)
		if word(err) != want {
			t.Fatalf("%v, want %s", err, want)
		}
		if err == nil {
			checkLoaded(t, answer, got)
			return
		}
		if message := err.Error(); !utf8.ValidString(message) || len(message) > 4096 {
			t.Errorf("%d bytes: %q", len(message), message)
		}
		if got.Excusable && want == string(report.InitFailed) && answer.Capabilities == nil {
			t.Error("a kubelet may crash, and it is excused")
		}
		if got.Capabilities != nil {
			t.Errorf("%+v with %v", got, err)
		}
	})
}

func checkLoaded(t *testing.T, answer driverStatus, got Verdict) {
	t.Helper()
	if answer.Status != "Success" || answer.Capabilities == nil || got.Excusable {
		t.Fatalf("%+v, %+v", answer, got)
	}
	c := answer.Capabilities
	want := report.Capabilities{
		Attach: c.Attach, FSGroup: c.FSGroup, SELinuxRelabel: c.SELinuxRelabel,
		SupportsMetrics: c.SupportsMetrics, RequiresFSResize: c.RequiresFSResize,
	}
	if *got.Capabilities != want {
		t.Errorf("%+v, want %+v", got.Capabilities, want)
	}
}
