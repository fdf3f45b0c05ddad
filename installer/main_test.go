package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"flexvolume.io/installer/publish"
	"flexvolume.io/installer/record"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// The test binary is the program under test when this is set, and a driver when its first argument
// is "init": so the tests have real processes and a real ELF driver without a compiler.
const beProgram = "FLEXVOLUME_TEST_PROGRAM"

func TestMain(m *testing.M) {
	testkit.BeStandIn()
	switch {
	case len(os.Args) == 2 && os.Args[1] == "init":
		fmt.Print(testkit.Good)
	case os.Getenv(beProgram) != "":
		becomeProgram()
	default:
		code := testkit.Isolate(m)
		testkit.RemoveTemplate()
		os.Exit(code)
	}
}

const (
	vendor = "example.com"
	driver = "nfs"
)

// node is one node with a plugin directory.
type node struct {
	t         *testing.T
	root      string
	pluginDir string // as the node sees it
}

func newNode(t *testing.T) *node {
	return &node{t: t, root: testkit.NewHost(t), pluginDir: testkit.PluginDir}
}

func (n *node) plugins() string { return n.root + n.pluginDir }
func (n *node) dir() string     { return filepath.Join(n.plugins(), vendor+"~"+driver) }
func (n *node) exec() string    { return filepath.Join(n.dir(), driver) }

// beside is a file beside the executable.
func (n *node) beside(name string) string { return filepath.Join(n.dir(), name) }

func (n *node) record() record.Record {
	n.t.Helper()
	r, err := record.Read(filepath.Join(n.dir(), record.Name))
	if err != nil {
		n.t.Fatal(err)
	}
	return *r
}

// pod is one installer pod on a node: its emptyDir, its image, its identity.
type pod struct {
	node       *node
	id         string
	flexDriver string
	revision   string
	image      string // directory that stands for the driver image
	shared     string // the emptyDir
	program    string
	env        []string
}

func (n *node) newPod(id, flexDriver, revision, content string) *pod {
	n.t.Helper()
	base := filepath.Join(n.t.TempDir(), id)
	p := &pod{
		node: n, id: id, flexDriver: flexDriver, revision: revision, program: "/proc/self/exe",
		image: filepath.Join(base, "image"), shared: filepath.Join(base, "flexvolume"),
	}
	if err := os.MkdirAll(p.shared, 0o755); err != nil {
		n.t.Fatal(err)
	}
	testkit.Write(n.t, filepath.Join(p.image, driver), content)
	return p
}

func (p *pod) flags(command string) []string {
	return []string{
		command, "--plugin-dir=" + p.node.pluginDir, "--vendor=" + vendor, "--driver=" + driver,
		"--install-id=" + p.id, "--payload=" + filepath.Join(p.shared, "payload"),
		"--report=" + filepath.Join(p.shared, command+".report"),
	}
}

func (p *pod) installFlags() []string {
	return append(p.flags("install"), "--host="+p.node.root, "--source="+filepath.Join(p.image, driver),
		"--flexdriver="+p.flexDriver, "--flexdriver-uid=uid-"+p.flexDriver, "--revision="+p.revision)
}

func (p *pod) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.program, args...)
	cmd.Env = append(append(os.Environ(), beProgram+"=1"), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// outcome is how a run ended.
type outcome struct {
	report.Report
	code   int
	stderr string
}

func (p *pod) install(more ...string) outcome {
	p.node.t.Helper()
	cmd := p.command(append(p.installFlags(), more...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	code := exitCode(p.node.t, cmd.Run())
	return outcome{p.report("install"), code, stderr.String()}
}

func (p *pod) report(command string) report.Report {
	p.node.t.Helper()
	return readReport(p.node.t, filepath.Join(p.shared, command+".report"))
}

func readReport(t *testing.T, path string) report.Report {
	t.Helper()
	text := testkit.Read(t, path)
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var r report.Report
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("report %q: %v", text, err)
	}
	return r
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// mustInstall is for tests in which installing is only the beginning.
func (p *pod) mustInstall(more ...string) outcome {
	p.node.t.Helper()
	out := p.install(more...)
	if out.code != 0 || out.Result != report.Installed {
		p.node.t.Fatalf("install ended with %d, %+v\n%s", out.code, out.Report, out.stderr)
	}
	return out
}

func (o outcome) wantFailure(t *testing.T, reason report.Reason, words ...string) {
	t.Helper()
	if o.Result != report.Failed || o.Reason != reason {
		t.Errorf("got %s %s %q, want Failed %s", o.Result, o.Reason, o.Message, reason)
	}
	want := exitFailed
	if reason == report.InternalError {
		want = exitInternal
	}
	if o.code != want {
		t.Errorf("exit code %d, want %d", o.code, want)
	}
	for _, word := range words {
		if !strings.Contains(o.Message, word) {
			t.Errorf("message %q does not say %q", o.Message, word)
		}
	}
	if !strings.Contains(o.stderr, string(reason)) {
		t.Errorf("log %q does not name %s", o.stderr, reason)
	}
}

// nothingLeft checks that no stage is left and that the plugin directory holds just these.
func (n *node) nothingLeft(inPluginDir string) {
	n.t.Helper()
	if got := testkit.List(n.t, n.plugins()); got != inPluginDir {
		n.t.Errorf("plugin directory holds %s, want %s", got, inPluginDir)
	}
	beside := strings.Replace(testkit.List(n.t, filepath.Dir(n.plugins())), publish.BackupDir+" ", "", 1)
	if beside != "["+filepath.Base(n.plugins())+"]" {
		n.t.Errorf("beside the plugin directory lies %s", beside)
	}
}
