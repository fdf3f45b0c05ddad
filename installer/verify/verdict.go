package verify

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"flexvolume.io/installer/report"
)

// status and capabilities have the shape, and so the leniency, of the kubelet's own DriverStatus:
// field names match in any case, unknown ones are passed over, types are checked.
type status struct {
	Status           string        `json:"status"`
	Message          string        `json:"message,omitempty"`
	DevicePath       string        `json:"device,omitempty"`
	VolumeName       string        `json:"volumeName,omitempty"`
	Attached         bool          `json:"attached,omitempty"`
	Capabilities     *capabilities `json:",omitempty"`
	ActualVolumeSize int64         `json:"volumeNewSize,omitempty"`
}

type capabilities struct {
	Attach           bool `json:"attach"`
	SELinuxRelabel   bool `json:"selinuxRelabel"`
	SupportsMetrics  bool `json:"supportsMetrics"`
	FSGroup          bool `json:"fsGroup"`
	RequiresFSResize bool `json:"requiresFSResize"`
}

// Words of the status field; the kubelet compares them exactly.
const (
	success      = "Success"
	notSupported = "Not supported"
)

// maxQuote is how much of a driver's output a message carries.
const maxQuote = 200

// Judge says what a kubelet would make of an answer to init. output is stdout and stderr together,
// exit is empty for exit code 0 and else says how init ended ("exit status 3").
func Judge(output []byte, exit string) (*report.Capabilities, error) {
	answer := status{Capabilities: &capabilities{
		Attach: true, SELinuxRelabel: true, FSGroup: true, RequiresFSResize: true,
	}}
	if err := json.Unmarshal(output, &answer); err != nil {
		return nil, badJSON(err, output, exit)
	}
	switch {
	case answer.Status == notSupported:
		return nil, report.Failf(report.InitFailed,
			`init answered "Not supported"; a driver must answer init with {"status": "Success"}`)
	case answer.Status != success:
		return nil, report.Failf(report.InitFailed, "init answered status %q, message %s%s%s",
			answer.Status, Quote([]byte(answer.Message)), hint(answer.Status), ended(exit))
	case exit != "":
		return nil, report.Failf(report.InitFailed,
			"init answered Success but ended with %s; a kubelet takes that as a failure", exit)
	case answer.Capabilities == nil:
		return nil, report.Failf(report.InitInvalidCapabilities,
			`init answered "capabilities": null, which makes a kubelet crash; give an object or leave it out`)
	}
	c := answer.Capabilities
	return &report.Capabilities{
		Attach: c.Attach, FSGroup: c.FSGroup, SELinuxRelabel: c.SELinuxRelabel,
		SupportsMetrics: c.SupportsMetrics, RequiresFSResize: c.RequiresFSResize,
	}, nil
}

func badJSON(err error, output []byte, exit string) error {
	if len(output) == 0 {
		return report.Failf(report.InitInvalidOutput,
			"init printed nothing%s; a kubelet expects one JSON object", ended(exit))
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && strings.HasPrefix(strings.ToLower(wrongType.Field), "capabilities") {
		return report.Failf(report.InitInvalidCapabilities,
			"init answered a %s for %s; capabilities is an object of true and false: %s",
			wrongType.Value, strings.ToLower(wrongType.Field[:1])+wrongType.Field[1:], Quote(output))
	}
	return report.Failf(report.InitInvalidOutput,
		"init must print one JSON object and nothing else on stdout and stderr%s (%v): %s",
		ended(exit), err, Quote(output))
}

func hint(word string) string {
	if strings.EqualFold(word, success) {
		return ` (the word must be spelt "Success")`
	}
	return ""
}

func ended(exit string) string {
	if exit == "" {
		return ""
	}
	return " and ended with " + exit
}

// Quote makes driver output safe to show: its first bytes, escaped.
func Quote(output []byte) string {
	if len(output) <= maxQuote {
		return strconv.Quote(string(output))
	}
	return strconv.Quote(string(output[:maxQuote])) + "..."
}
