// Package report holds what the node program tells the operator: one JSON object in the
// container's termination message, the only way out of a pod without API access.
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Version of the report's shape; MaxBytes keeps six containers below the kubelet's 12 KiB a pod.
const (
	Version  = 1
	MaxBytes = 2048
)

// Results.
const (
	Installed = "Installed"
	Failed    = "Failed"
)

// Components.
const (
	Install = "install"
	Guard   = "guard"
)

// Capabilities are what the driver's init answered, the kubelet's defaults filled in.
type Capabilities struct {
	Attach           bool `json:"attach"`
	FSGroup          bool `json:"fsGroup"`
	SELinuxRelabel   bool `json:"selinuxRelabel"`
	SupportsMetrics  bool `json:"supportsMetrics"`
	RequiresFSResize bool `json:"requiresFSResize"`
}

// Serving is what lies at the path after this run; Revision is empty when no record vouches for it.
type Serving struct {
	Revision string `json:"revision,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
}

// Report is the object; empty fields are left out.
type Report struct {
	V            int           `json:"v"`
	Component    string        `json:"component"`
	Result       string        `json:"result"`
	Reason       Reason        `json:"reason,omitempty"`
	Message      string        `json:"message,omitempty"`
	Revision     string        `json:"revision,omitempty"`
	Path         string        `json:"path,omitempty"`
	SHA256       string        `json:"sha256,omitempty"`
	Changed      bool          `json:"changed,omitempty"`
	Capabilities *Capabilities `json:"capabilities,omitempty"`
	Serving      Serving       `json:"serving,omitzero"`
	Owner        string        `json:"owner,omitempty"`
	BootID       string        `json:"bootID,omitempty"`
	Repairs      int           `json:"repairs,omitempty"`
	LastRepair   string        `json:"lastRepair,omitempty"`
}

// Fail turns r into the report of a failure.
func (r *Report) Fail(f *Failure) {
	r.Result, r.Reason, r.Message, r.Owner = Failed, f.Reason, f.Message, f.Owner
}

// Encode gives the JSON, at most MaxBytes: the message is made one line and cut to fit.
func (r Report) Encode() []byte {
	r.V = Version
	message := oneLine(r.Message)
	r.Message = message
	if data := encode(r); len(data) <= MaxBytes {
		return data
	}
	// Searched for, because a character may take six bytes as an escape.
	keep := sort.Search(len(message), func(n int) bool {
		r.Message = cut(message, n)
		return len(encode(r)) > MaxBytes
	})
	r.Message = cut(message, keep-1)
	return encode(r)
}

// cut keeps at most so many bytes and says that there was more.
func cut(text string, keep int) string {
	for keep > 0 && !utf8.RuneStart(text[keep]) {
		keep--
	}
	return text[:max(keep, 0)] + "..."
}

func encode(r Report) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		panic(err) // strings, numbers and booleans always encode
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
}

func oneLine(text string) string {
	spaced := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(spaced), " ")
}

// Write puts the report into the file the kubelet reads. It is a mount of its own that the kubelet
// has made, so it is written in place.
func (r Report) Write(path string) error {
	return os.WriteFile(path, r.Encode(), 0o644)
}

// WriteIfThere does so only when the file exists: wrong usage happens also outside a pod.
func (r Report) WriteIfThere(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return r.Write(path)
}
