// Package report holds what the node program tells the operator: one JSON object in the
// container's termination message, the only way out of a pod without API access.
package report

import (
	"errors"
	"os"
)

// Version of the report's shape; MaxBytes keeps six containers below the kubelet's 12 KiB a pod.
const (
	Version  = 1
	MaxBytes = 2048
)

// Results.
const (
	Installed    = "Installed"
	WouldInstall = "WouldInstall" // a dry run that ended well: nothing is published
	Removed      = "Removed"
	Failed       = "Failed"
)

// Components.
const (
	Install = "install"
	Guard   = "guard"
	Remove  = "remove"
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

// Seen is the plugin directory that a process of the node uses, as its command line and its files
// say, and which of them says so. Container is told of a controller-manager only.
type Seen struct {
	PluginDir string `json:"pluginDir"`
	From      string `json:"from,omitempty"`
	Container bool   `json:"container,omitempty"`
}

// Warning is something that will hurt though the driver is installed; its reason is one of the
// contract's warnings.
type Warning struct {
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
}

// Foreign is a driver in the plugin directory that no record vouches for. Init is the reason for
// which its init fails, or Success.
type Foreign struct {
	Name   string `json:"name"` // <vendor>/<driver>
	SHA256 string `json:"sha256"`
	Init   string `json:"init"`
}

// Report is the object; empty fields are left out.
type Report struct {
	V                 int           `json:"v"`
	Component         string        `json:"component"`
	Result            string        `json:"result"`
	Reason            Reason        `json:"reason,omitempty"`
	Message           string        `json:"message,omitempty"`
	Revision          string        `json:"revision,omitempty"`
	Path              string        `json:"path,omitempty"`
	SHA256            string        `json:"sha256,omitempty"`
	Changed           bool          `json:"changed,omitempty"`
	Capabilities      *Capabilities `json:"capabilities,omitempty"`
	Serving           Serving       `json:"serving,omitzero"`
	Owner             string        `json:"owner,omitempty"`
	BootID            string        `json:"bootID,omitempty"`
	Kubelet           Seen          `json:"kubelet,omitzero"`           // not known: left out
	ControllerManager Seen          `json:"controllerManager,omitzero"` // none, or not known
	Interpreter       string        `json:"interpreter,omitempty"`      // of the driver, or its loader
	Warnings          []Warning     `json:"warnings,omitempty"`
	Waits             bool          `json:"waits,omitempty"`        // it would replace a foreign driver, and waits for its turn
	Foreign           []Foreign     `json:"foreign,omitempty"`      // of a dry run
	ForeignCount      int           `json:"foreignCount,omitempty"` // also of those that Foreign has no room for
	Pods              []string      `json:"pods,omitempty"`         // uids of pods with volumes of the driver
	Repairs           int           `json:"repairs,omitempty"`
	LastRepair        string        `json:"lastRepair,omitempty"`
}

// Fail turns r into the report of a failure.
func (r *Report) Fail(f *Failure) {
	r.Result, r.Reason, r.Message, r.Owner = Failed, f.Reason, f.Message, f.Owner
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
