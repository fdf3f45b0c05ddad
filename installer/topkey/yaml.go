package topkey

import "strings"

// document is a YAML document while it is read, line by line where it is in block style. Where a
// value begins and ends it follows libyaml, which Kubernetes uses, more than the standard: libyaml
// lets quoted texts and brackets go on at the beginning of a line, where they look like a key.
type document struct {
	scanner
	key    string
	text   string
	found  bool
	marked bool // by a line of dashes
	begun  bool // has a key
	open   bool // the last top-level key may have its value on the lines that follow
}

func inYAML(content, key string) (text string, found bool, err error) {
	d := document{scanner: scanner{content: content}, key: key}
	for !d.ends() {
		d.line()
	}
	if d.unsure || !d.begun {
		return "", false, ErrUnsure
	}
	return d.text, d.found, nil
}

func (d *document) line() {
	indent := d.spaces()
	atMark := indent == 0 && (d.word("---") || d.word("..."))
	switch {
	case d.lineEnds():
		d.nextLine()
	case atMark && d.begun:
		d.at = len(d.content) // of another document; Kubernetes reads the first
	case atMark && !d.marked && d.word("---"):
		d.marked = true
		d.at += len("---")
		d.endLine()
	case atMark:
		d.doubt()
	default:
		d.entry(indent)
	}
}

// entry reads "key: value", "- value", "- key: value" or a value that stands by itself, with all
// the lines it takes. Its value goes on where lines are indented more than parent.
func (d *document) entry(indent int) {
	parent, column, dashed := indent, indent, false
	for d.word("-") {
		parent, dashed = column, true
		d.at++
		column += 1 + d.spaces()
	}
	nested := indent > 0 || dashed
	if nested && !d.open {
		d.doubt()
		return
	}
	name, isKey := d.name()
	switch {
	case isKey && !nested:
		d.topLevel(name, d.value(column))
	case isKey:
		d.value(column)
	case dashed:
		d.value(parent)
	case nested && strings.IndexByte("\"'[{", d.byte(0)) >= 0:
		d.value(parent) // these say themselves where they end
	default:
		d.doubt()
	}
}

func (d *document) topLevel(name, value node) {
	d.begun = true
	d.open = value.style == empty
	text, simple := name.string()
	switch {
	case !simple, text == "<<": // escapes may spell our key, a merge may bring it along
		d.doubt()
	case text != d.key:
	case d.found:
		d.doubt()
	default:
		d.found, d.open = true, false
		if d.text, simple = value.string(); !simple {
			d.doubt()
		}
	}
}

// name takes a key with its colon and leaves anything else where it is.
func (d *document) name() (name node, isKey bool) {
	start := d.at
	switch {
	case d.here('"'), d.here('\''):
		name = d.quoted()
	case d.plainBegins():
		name = d.plain()
	}
	d.spaces()
	if name.style == empty || !d.word(":") {
		d.at = start
		return node{}, false
	}
	d.at++
	d.spaces()
	if name.style == plain {
		name.style = quoted // whatever it looks like, a key is text
	}
	return name, true
}

func (d *document) value(parent int) node {
	value := node{style: other}
	switch {
	case d.lineEnds():
		value = node{}
		d.nextLine()
	case d.here('"'), d.here('\''):
		value = d.quoted()
		d.endLine()
	case d.here('['), d.here('{'):
		d.flow()
		d.endLine()
	case d.here('|'), d.here('>'):
		d.block(parent)
	case d.plainBegins():
		value = d.plain()
		d.endLine()
		if d.nextIndent() > parent { // it goes on there
			d.doubt()
		}
	default:
		d.doubt()
	}
	return value
}

// block takes a block scalar, which may hold anything: its lines are known by their indent.
func (d *document) block(parent int) {
	d.at++
	for strings.IndexByte("+-123456789", d.byte(0)) >= 0 {
		d.at++
	}
	d.endLine()
	for least := 0; !d.ends(); d.nextLine() {
		start, indent := d.at, d.spaces()
		switch {
		case d.here('\n'), d.ends():
		case indent <= parent:
			d.at = start
			return
		case indent < least:
			d.doubt()
		case least == 0:
			least = indent
		}
	}
}
