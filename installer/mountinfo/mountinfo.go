// Package mountinfo reads the kernel's tables of mounts, such as /proc/self/mountinfo.
package mountinfo

import (
	"bytes"
	"fmt"
	"strings"
)

// Where in a line something stands. The optional fields end with a "-".
const (
	rootField     = 3 // of the file system, what is mounted
	pointField    = 4
	optionalField = 6
)

// Points gives the mount points of a table in its order. A line without one is an error: who asks
// what is mounted must not go on with half an answer.
func Points(table []byte) ([]string, error) {
	var points []string
	number := 0
	for line := range bytes.Lines(table) {
		number++
		// The kernel writes one space between fields and escapes those in names. Other white space,
		// such as a no-break space, stands in names as it is.
		fields := strings.SplitN(strings.TrimSuffix(string(line), "\n"), " ", pointField+2)
		if len(fields) <= pointField || !strings.HasPrefix(fields[pointField], "/") {
			return nil, fmt.Errorf("line %d has no mount point: %.100q", number, line)
		}
		points = append(points, unescape(fields[pointField]))
	}
	return points, nil
}

// Follows says whether the mount at a point is a slave: one that hears of what is mounted below the
// mount it was made from, for as long as that is there.
func Follows(table []byte, point string) bool {
	for _, optional := range fieldsOf(table, point)[optionalField:] {
		if optional == "-" {
			break
		}
		if strings.HasPrefix(optional, "master:") {
			return true
		}
	}
	return false
}

// Separate says whether the mount at a point was made from one that begins at the very path, rather
// than above it: what it shows of its file system does not lie there as the path does. Where links
// are in the path, it may say so of one that does not.
func Separate(table []byte, point, path string) bool {
	root := strings.TrimSuffix(unescape(fieldsOf(table, point)[rootField]), "/")
	// A file system that is mounted above shows a shorter path, a subvolume a longer one.
	return root == "" || !strings.HasSuffix(path, root) && !strings.HasSuffix(root, path)
}

// fieldsOf gives the fields of the mount at a point, empty ones without any. Of several the last counts.
func fieldsOf(table []byte, point string) []string {
	found := make([]string, optionalField)
	for line := range bytes.Lines(table) {
		fields := strings.Split(strings.TrimSuffix(string(line), "\n"), " ")
		if len(fields) >= optionalField && unescape(fields[pointField]) == point {
			found = fields
		}
	}
	return found
}

// unescape undoes the kernel's \ooo, three octal digits for one byte. Any other backslash is kept;
// the kernel writes none.
func unescape(field string) string {
	if !strings.Contains(field, `\`) {
		return field
	}
	plain := make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		if b, ok := octal(field[i:]); ok {
			plain = append(plain, b)
			i += 3
			continue
		}
		plain = append(plain, field[i])
	}
	return string(plain)
}

// octal reads an escape at the beginning of text.
func octal(text string) (byte, bool) {
	if len(text) < 4 || text[0] != '\\' || text[1] > '3' {
		return 0, false
	}
	var value byte
	for _, digit := range []byte(text[1:4]) {
		if digit < '0' || digit > '7' {
			return 0, false
		}
		value = value<<3 | (digit - '0')
	}
	return value, true
}
