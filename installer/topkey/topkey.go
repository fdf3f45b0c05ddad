// Package topkey reads one text from the top level of a configuration file in YAML or JSON. A YAML
// library is larger than this program has room for. This reads what people and tools really write,
// and where a file has more than that the answer is ErrUnsure, never a wrong text.
package topkey

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrUnsure is the answer to a file that cannot be read beyond doubt. It need not be wrong.
var ErrUnsure = errors.New("cannot be read beyond doubt")

// Find gives the text of a top-level key, "" when it is null; found says whether the key is there.
// Only letters of exactly the key's case are the key, as in Kubernetes.
func Find(data []byte, key string) (text string, found bool, err error) {
	content := strings.ReplaceAll(string(data), "\r\n", "\n")
	if !utf8.ValidString(content) || strings.ContainsFunc(content, hidden) {
		return "", false, ErrUnsure
	}
	// So Kubernetes tells them apart: after a brace it does not try YAML any more.
	if strings.HasPrefix(strings.TrimLeftFunc(content, unicode.IsSpace), "{") {
		return inJSON(data, key)
	}
	return inYAML(content, key)
}

// hidden characters are those that YAML forbids, takes for the end of a line, or passes over.
func hidden(r rune) bool {
	const byteOrderMark, lineSeparator, paragraphSeparator = '\ufeff', '\u2028', '\u2029'
	switch r {
	case '\n', '\t':
		return false
	case byteOrderMark, lineSeparator, paragraphSeparator:
		return true
	}
	return unicode.IsControl(r)
}
