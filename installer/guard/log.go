package guard

import (
	"fmt"
	"io"
	"time"
)

// log writes few lines: a state only when it differs from the last one, repairs at most one a
// second with a count of those in between.
type log struct {
	to       io.Writer
	last     string
	repaired time.Time
	silent   int
}

func (l *log) state(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != l.last {
		l.last = text
		fmt.Fprintln(l.to, "guard:", text)
	}
}

func (l *log) repair(at time.Time, what string) {
	if at.Sub(l.repaired) < time.Second {
		l.silent++
		return
	}
	more := ""
	if l.silent > 0 {
		more = fmt.Sprintf(" (and %d repairs before)", l.silent)
	}
	l.repaired, l.silent, l.last = at, 0, ""
	fmt.Fprintf(l.to, "guard: repaired: %s%s\n", what, more)
}
