package preflight

import (
	"path"
	"strings"
)

// maxLine is how much of the first line the kernel reads.
const maxLine = 256

// script is a #! line as the kernel splits it: the interpreter and at most one argument.
type script struct {
	Interpreter string
	Argument    string
}

// parseScript reads the first bytes of a file that begins with "#!".
func parseScript(head []byte) script {
	line, _, _ := strings.Cut(string(head[:min(len(head), maxLine)]), "\n")
	line = strings.Trim(strings.TrimPrefix(line, "#!"), " \t")
	interpreter, argument := line, ""
	if end := strings.IndexAny(line, " \t"); end >= 0 {
		interpreter, argument = line[:end], strings.TrimLeft(line[end:], " \t")
	}
	return script{Interpreter: interpreter, Argument: argument}
}

// viaEnv gives the program that "#!/usr/bin/env x" searches in PATH, or "" when this is no such
// line. Without -S, env takes everything after it as one name, spaces included.
func (s script) viaEnv() string {
	if path.Base(s.Interpreter) != "env" || s.Argument == "" {
		return ""
	}
	split, isSplit := strings.CutPrefix(s.Argument, "-S")
	if !isSplit {
		if strings.HasPrefix(s.Argument, "-") {
			return ""
		}
		return s.Argument
	}
	for _, word := range strings.Fields(split) {
		if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
			return word
		}
	}
	return ""
}
