package topkey

import "strings"

// style is how a value is written.
type style int

const (
	empty style = iota
	plain
	quoted
	other // a collection or a block scalar, of which only the end matters
)

// node is a key or a value; text is as written, without quotes.
type node struct {
	style style
	text  string
}

// string gives the text that the node stands for, "" for null, if there can be no doubt about it.
func (n node) string() (text string, simple bool) {
	switch n.style {
	case empty:
		return "", true
	case quoted:
		return n.text, !strings.ContainsAny(n.text, "\\\n") && !strings.Contains(n.text, "''")
	case plain:
		return plainString(n.text)
	}
	return "", false
}

// plainString tells text from what only looks like it: numbers, dates, yes and no. None of these
// has a slash in it.
func plainString(text string) (string, bool) {
	switch text {
	case "~", "null", "Null", "NULL":
		return "", true
	}
	switch strings.ToLower(text) {
	case "y", "yes", "n", "no", "on", "off", "true", "false", "null":
		return "", false
	}
	return text, strings.Contains(text, "/") || isLetter(text[0])
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
