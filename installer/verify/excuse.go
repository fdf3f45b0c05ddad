package verify

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	"flexvolume.io/installer/report"
)

// excusable are the reasons that may be our surroundings' and not the driver's: it ran, came to its
// end by itself and told of a failure, without what a kubelet has and our container has not
// (capabilities, devices, the node's network, memory). With the policy Warn it is published.
//
// Why the others are not: InitTimeout would stop every pod on the node, and InitWouldCrashKubelet the
// kubelet. InitNotSupported is what the driver says to everybody. InitNotExecutable and all that is
// found before init runs (WrongArchitecture, MissingInterpreter, SELinuxDenied, requirements) leave
// nothing that speaks for the driver.
var excusable = map[report.Reason]bool{
	report.InitFailed:        true,
	report.InitInvalidOutput: true, // a tool's complaint on stderr, or a driver that gave up without a word
	report.InitOOMKilled:     true, // the limit is our container's
}

// excuse looks at what was printed, too: no surroundings make a driver give a value the wrong type,
// and one that says "capabilities": null beside something else may say it alone to a kubelet.
func excuse(err error, printed []byte) bool {
	if !excusable[report.AsFailure(err).Reason] {
		return false
	}
	answer, err := parse(printed)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return answer.Capabilities != nil
	case errors.As(err, &syntax):
		return !strings.Contains(squeezed(printed), `"capabilities":null`)
	}
	return false
}

// squeezed is in small letters and without spaces.
func squeezed(printed []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, string(printed))
}
