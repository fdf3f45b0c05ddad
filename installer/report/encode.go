package report

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// leastMessage is kept of a message before anything else of a report is.
const leastMessage = 256

// enoughWarning is kept of a warning's words for as long as anything longer can go instead.
const enoughWarning = 160

// expendable is what a long report leaves out, in this order: words for people, what the operator
// itself asked for, the ends of lists, and the kubelet's directory last, for it is what puts a
// mismatch right. Each is asked again for as long as it says that there is more to take.
var expendable = [...]func(*Report) (more bool){
	func(r *Report) bool { r.Kubelet.From = ""; return false },
	func(r *Report) bool { r.Path = ""; return false },
	func(r *Report) bool { r.shortenWarnings(enoughWarning); return false },
	func(r *Report) bool { r.Interpreter = ""; return false },
	func(r *Report) bool { r.ControllerManager = Seen{}; return false },
	func(r *Report) bool { r.Foreign = r.Foreign[:max(0, len(r.Foreign)-1)]; return len(r.Foreign) > 0 },
	func(r *Report) bool { r.Pods = r.Pods[:max(0, len(r.Pods)-1)]; return len(r.Pods) > 0 },
	func(r *Report) bool { r.shortenWarnings(0); return false },
	func(r *Report) bool { r.Kubelet = Seen{}; return false },
}

// shortenWarnings makes each one line of at most so many bytes.
func (r *Report) shortenWarnings(most int) {
	r.Warnings = slices.Clone(r.Warnings)
	for i := range r.Warnings {
		text := oneLine(r.Warnings[i].Message)
		if len(text) > most {
			text = cut(text, most)
		}
		r.Warnings[i].Message = text
	}
}

// Encode gives the JSON, at most MaxBytes: the message is made one line and cut to fit.
func (r Report) Encode() []byte {
	r.V = Version
	message := oneLine(r.Message)
	r.Message, r.Interpreter = message, oneLine(r.Interpreter)
	r.shortenWarnings(MaxBytes)
	if data := encode(r); len(data) <= MaxBytes {
		return data
	}
	if len(message) > leastMessage {
		r.Message = cut(message, leastMessage)
	}
	for i := 0; i < len(expendable) && len(encode(r)) > MaxBytes; {
		if more := expendable[i](&r); !more {
			i++
		}
	}
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
