// Package preflight finds, without running a driver, why a node could not run it. A kubelet gives
// one and the same text for all of these ("executable file not found in $PATH").
package preflight

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
)

// Path is the PATH that a driver is taken to run with where the kubelet's own cannot be read.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Node is what a driver must fit.
type Node struct {
	Root    hostfs.Root
	Arch    string // as in GOARCH
	Path    string // the kubelet's PATH, in which #!/usr/bin/env searches, too; "": not known
	Partial bool   // only the plugin directory is visible: interpreters cannot be looked for
}

// Check looks at the file, an absolute path as this process reaches it.
func (n Node) Check(driver string) error {
	file, head, err := open(driver)
	if err != nil {
		return err
	}
	defer file.Close()
	switch {
	case len(head) == 0:
		return report.Failf(report.InitNotExecutable, "the driver file in the image is empty")
	case isELF(head):
		return n.checkELF(file)
	case isScript(head):
		return n.checkScript(parseScript(head))
	}
	return report.Failf(report.InitNotExecutable,
		"the driver begins with %q: it is neither an ELF program nor a script with a #! line, so the kernel cannot start it",
		head[:min(len(head), 16)])
}

// Interpreter is what a node needs to run the file: the interpreter of its #! line, or the loader of
// a dynamically linked program. It is empty for a static one, and for what is no program.
func Interpreter(driver string) string {
	file, head, err := open(driver)
	if err != nil {
		return ""
	}
	defer file.Close()
	switch {
	case isELF(head):
		program, _ := readELF(file)
		return program.Loader
	case isScript(head):
		return parseScript(head).Interpreter
	}
	return ""
}

// open gives the file and as much of its beginning as the kernel looks at.
func open(driver string) (file *os.File, head []byte, err error) {
	if file, err = hostfs.OpenRegular(driver); err != nil {
		return nil, nil, err
	}
	head = make([]byte, maxLine)
	size, err := file.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		file.Close()
		return nil, nil, err
	}
	return file, head[:size], nil
}

func isELF(head []byte) bool    { return bytes.HasPrefix(head, []byte("\x7fELF")) }
func isScript(head []byte) bool { return bytes.HasPrefix(head, []byte("#!")) }

func (n Node) checkELF(file io.ReaderAt) error {
	program, err := readELF(file)
	if err != nil {
		return report.Failf(report.InitNotExecutable, "the driver is no complete program: %v", err)
	}
	if !program.runsOn(n.Arch) {
		return report.Failf(report.WrongArchitecture,
			"the driver is built for %s but this node is %s; publish a multi-architecture image or "+
				"one FlexDriver per architecture", program, n.Arch)
	}
	if program.Loader == "" || n.Partial {
		return nil
	}
	if problem := n.missing(program.Loader); problem != "" {
		return report.Failf(report.MissingInterpreter,
			"the driver is dynamically linked and needs the loader %s, which on this node %s; link it "+
				"statically or build it for the node's C library", program.Loader, problem)
	}
	return nil
}

func (n Node) checkScript(s script) error {
	if s.Interpreter == "" {
		return report.Failf(report.InitNotExecutable, "the driver's #! line names no interpreter")
	}
	if strings.HasSuffix(s.Interpreter, "\r") || strings.HasSuffix(s.Argument, "\r") {
		return report.Failf(report.MissingInterpreter,
			"the driver's #! line ends with a carriage return: save the script with Unix line ends")
	}
	if n.Partial {
		return nil
	}
	if problem := n.missing(s.Interpreter); problem != "" {
		return report.Failf(report.MissingInterpreter,
			"the driver's #! line needs %s, which on this node %s", s.Interpreter, problem)
	}
	program := s.viaEnv()
	if program == "" || strings.Contains(program, "/") || n.inPath(program) {
		return nil
	}
	return report.Failf(report.MissingInterpreter,
		"the driver's #! line makes %s look for %q, which this node has nowhere in %s",
		s.Interpreter, program, n.path())
}

func (n Node) path() string {
	if n.Path == "" {
		return Path
	}
	return n.Path
}

// missing says in words what is wrong with a program of the node, or "".
func (n Node) missing(program string) string {
	info, err := n.Root.Stat(program)
	switch {
	case err != nil:
		return "does not exist"
	case !info.Mode().IsRegular():
		return "is not a file"
	case info.Mode()&fs.FileMode(0o111) == 0:
		return "is not executable"
	}
	return ""
}

func (n Node) inPath(program string) bool {
	for _, dir := range filepath.SplitList(n.path()) {
		if filepath.IsAbs(dir) && n.missing(filepath.Join(dir, program)) == "" {
			return true
		}
	}
	return false
}
