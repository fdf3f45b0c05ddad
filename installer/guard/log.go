package guard

import (
	"fmt"
	"io"
	"time"
)

// log writes few lines: what there is to say about a topic only when it differs from the last
// time, repairs at most one a second with a count of those in between.
type log struct {
	to       io.Writer
	last     map[string]string // by topic
	repaired time.Time
	silent   int
}

func (l *log) about(topic, format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != l.last[topic] {
		l.last[topic] = text
		fmt.Fprintln(l.to, "guard:", text)
	}
}

// forget makes the topic's next line news.
func (l *log) forget(topic string) { delete(l.last, topic) }

func (l *log) repair(at time.Time, what string) {
	l.forget("place")
	if at.Sub(l.repaired) < time.Second {
		l.silent++
		return
	}
	more := ""
	if l.silent > 0 {
		more = fmt.Sprintf(" (and %d repairs before)", l.silent)
	}
	l.repaired, l.silent = at, 0
	fmt.Fprintf(l.to, "guard: repaired: %s%s\n", what, more)
}
