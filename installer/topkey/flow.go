package topkey

import "strings"

// flow takes a collection in brackets, over several lines if need be. It has to tell quotes that
// begin a text from those in the middle of one, for a bracket in quotes closes nothing; which kind
// of bracket closes does not matter.
func (s *scanner) flow() {
	depth, fresh := 0, true // fresh: a value may begin here
	for !s.ends() {
		switch c := s.byte(0); {
		case c == ' ', c == '\n':
			s.at++
		case c == '#' && (fresh || s.blank(-1)):
			s.passComment()
		case fresh && (c == '"' || c == '\''):
			fresh = s.flowQuoted()
		case fresh && (c == '[' || c == '{'):
			depth++
			s.at++
		case c == ']', c == '}':
			depth, fresh = depth-1, false
			s.at++
			if depth == 0 {
				return
			}
		case c == ',':
			fresh = true
			s.at++
		case c == ':' && !fresh:
			fresh = s.blank(1)
			s.at++
		case strings.IndexByte("\t?#:\"'[{", c) >= 0, fresh && strings.IndexByte("&*!|>%@`", c) >= 0:
			s.doubt()
		default:
			fresh = false
			s.at++
		}
	}
	s.doubt()
}

// passComment stops before the end of the line.
func (s *scanner) passComment() {
	for !s.ends() && !s.here('\n') {
		s.at++
	}
}

// flowQuoted takes a text in quotes and, as in JSON, a colon that follows at once; then a value
// may begin.
func (s *scanner) flowQuoted() (fresh bool) {
	s.quoted()
	if s.here(':') {
		s.at++
		return true
	}
	return false
}
