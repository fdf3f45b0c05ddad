package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
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

// How much of a driver's output a message carries, and how much of what is wrong in it.
const (
	maxQuote     = 200
	maxOffending = 20
)

// Judge says what a kubelet would make of an answer to init. output is stdout and stderr together,
// exit is empty for exit code 0 and else says how init ended ("exit status 3").
func Judge(output []byte, exit string) (*report.Capabilities, error) {
	answer, err := parse(output)
	if err != nil {
		return nil, badJSON(err, output, exit)
	}
	switch {
	case answer.Status == notSupported:
		return nil, report.Failf(report.InitNotSupported,
			`init answered "Not supported"; a driver must answer init with {"status": "Success"}`)
	case answer.Status != success:
		return nil, report.Failf(report.InitFailed, "init answered status %s, message %s%s%s",
			Quote([]byte(answer.Status)), Quote([]byte(answer.Message)), hint(answer.Status), ended(exit))
	case exit != "":
		return nil, report.Failf(report.InitFailed,
			"init answered Success but ended with %s; a kubelet takes that as a failure", exit)
	case answer.Capabilities == nil:
		return nil, report.Failf(report.InitWouldCrashKubelet,
			`init answered "capabilities": null, which makes a kubelet crash; give an object or leave it out`)
	}
	c := answer.Capabilities
	return &report.Capabilities{
		Attach: c.Attach, FSGroup: c.FSGroup, SELinuxRelabel: c.SELinuxRelabel,
		SupportsMetrics: c.SupportsMetrics, RequiresFSResize: c.RequiresFSResize,
	}, nil
}

// parse fills in the kubelet's defaults.
func parse(output []byte) (status, error) {
	answer := status{Capabilities: &capabilities{
		Attach: true, SELinuxRelabel: true, FSGroup: true, RequiresFSResize: true,
	}}
	err := json.Unmarshal(output, &answer)
	return answer, err
}

// saysAttach tells an answer from the kubelet's default.
func saysAttach(output []byte) bool {
	var answer struct {
		Capabilities *struct {
			Attach *bool `json:"attach"`
		} `json:",omitempty"`
	}
	err := json.Unmarshal(output, &answer)
	return err == nil && answer.Capabilities != nil && answer.Capabilities.Attach != nil
}

// expected says what a kubelet wants where a value has the wrong type.
var expected = map[reflect.Kind]string{
	reflect.String: "a string",
	reflect.Bool:   "true or false",
	reflect.Int64:  "a whole number",
	reflect.Struct: "an object",
}

func badJSON(err error, output []byte, exit string) error {
	if len(output) == 0 {
		return report.Failf(report.InitInvalidOutput,
			"init printed nothing%s; a kubelet expects one JSON object", ended(exit))
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		field := "all"
		if wrongType.Field != "" {
			field = strings.ToLower(wrongType.Field[:1]) + wrongType.Field[1:]
		}
		return report.Failf(report.InitInvalidOutput, "init answered a %s for %s; a kubelet expects %s: %s",
			wrongType.Value, field, expected[wrongType.Type.Kind()], Quote(output))
	}
	return report.Failf(report.InitInvalidOutput,
		"init must print one JSON object and nothing else on stdout and stderr%s (%v); %s",
		ended(exit), err, where(output))
}

// where shows the first bytes that are no JSON, and what came before them.
func where(output []byte) string {
	at := firstBad(output)
	switch at {
	case 0:
		return "it printed " + Quote(output)
	case len(output):
		return "it ended after byte " + strconv.Itoa(at) + ": " + Quote(output)
	}
	return "at byte " + strconv.Itoa(at) + " comes " + quote(output[at:], maxOffending) + " in " + Quote(output)
}

// firstBad is the offset of the first byte that is no JSON, the length of the output if that only
// ends too early. No JSON holds the NUL that is put behind it, so the error's offset, which is else
// the same for a bad last byte and for a missing one, tells them apart.
func firstBad(output []byte) int {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(append(bytes.Clone(output), 0), new(any)); errors.As(err, &syntax) {
		return int(syntax.Offset) - 1
	}
	return len(output)
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
func Quote(output []byte) string { return quote(output, maxQuote) }

func quote(output []byte, most int) string {
	if len(output) <= most {
		return strconv.Quote(string(output))
	}
	return strconv.Quote(string(output[:most])) + "..."
}
