package topkey

import "strings"

// scanner stands at a character of a text. After doubt it stands at the end.
type scanner struct {
	content string
	at      int
	unsure  bool
}

func (s *scanner) doubt() { s.unsure, s.at = true, len(s.content) }

func (s *scanner) ends() bool { return s.at >= len(s.content) }

// byte gives the character so many further on, 0 beyond the end: the text itself holds none.
func (s *scanner) byte(further int) byte {
	if at := s.at + further; at >= 0 && at < len(s.content) {
		return s.content[at]
	}
	return 0
}

func (s *scanner) here(c byte) bool { return s.byte(0) == c }

// blank says that a word ends before this character.
func (s *scanner) blank(further int) bool {
	switch s.byte(further) {
	case 0, ' ', '\t', '\n':
		return true
	}
	return false
}

// word says that the text goes on with this, and then a blank.
func (s *scanner) word(word string) bool {
	return strings.HasPrefix(s.content[s.at:], word) && s.blank(len(word))
}

// spaces passes over spaces and counts them; a tab is left for others to stumble on.
func (s *scanner) spaces() int {
	start := s.at
	for s.here(' ') {
		s.at++
	}
	return s.at - start
}

// lineEnds says that nothing but a comment follows on this line.
func (s *scanner) lineEnds() bool {
	return s.ends() || s.here('\n') || s.comment()
}

func (s *scanner) comment() bool { return s.here('#') && s.blank(-1) }

func (s *scanner) nextLine() {
	length := strings.IndexByte(s.content[s.at:], '\n')
	if length < 0 {
		s.at = len(s.content)
		return
	}
	s.at += length + 1
}

// endLine goes to the next line if this one has nothing more to say.
func (s *scanner) endLine() {
	s.spaces()
	if !s.lineEnds() {
		s.doubt()
		return
	}
	s.nextLine()
}

// nextIndent looks ahead to the next line that says something; -1 at the end.
func (s *scanner) nextIndent() int {
	for ahead := *s; !ahead.ends(); ahead.nextLine() {
		if indent := ahead.spaces(); !ahead.lineEnds() {
			return indent
		}
	}
	return -1
}

// plainBegins says that a text without quotes begins here.
func (s *scanner) plainBegins() bool {
	if s.here('-') {
		return !s.blank(1)
	}
	return !s.blank(0) && strings.IndexByte("?:,[]{}#&*!|>'\"%@`", s.byte(0)) < 0
}

// plain takes a text without quotes up to the end of the line, a comment, or the colon of a key.
func (s *scanner) plain() node {
	start := s.at
	for !s.lineEnds() && !s.word(":") {
		if s.here('\t') {
			s.doubt()
			return node{}
		}
		s.at++
	}
	return node{plain, strings.TrimRight(s.content[start:s.at], " ")}
}

// quoted takes a text in quotes, over several lines if need be.
func (s *scanner) quoted() node {
	quote := s.byte(0)
	s.at++
	for start := s.at; !s.ends(); s.at++ {
		switch {
		case quote == '"' && s.here('\\'), quote == '\'' && s.here('\'') && s.byte(1) == '\'':
			s.at++
		case s.here(quote):
			s.at++
			return node{quoted, s.content[start : s.at-1]}
		}
	}
	s.doubt()
	return node{}
}
