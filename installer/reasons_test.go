package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// failing drivers, the reason each must get and words its message must hold.
var failing = map[string]struct {
	driver string
	reason report.Reason
	words  []string
}{
	"text before the JSON": {testkit.Script("echo starting\n" + testkit.GoodReply), report.InitInvalidOutput,
		[]string{"one JSON object", `starting\n`}},
	"a word on stderr": {testkit.Script("echo warning >&2\n" + testkit.GoodReply), report.InitInvalidOutput,
		[]string{"warning", "stderr"}},
	"Failure with exit code 0": {testkit.Script("echo '" + testkit.Failure + "'"), report.InitFailed,
		[]string{`status "Failure"`, "no disk"}},
	"Success with exit code 3": {testkit.Script(testkit.GoodReply + "; exit 3"), report.InitFailed,
		[]string{"exit status 3"}},
	"Not supported": {testkit.Script(`echo '{"status":"Not supported"}'`), report.InitNotSupported,
		[]string{"Not supported"}},
	"success in small letters": {testkit.Script(`echo '{"status":"success"}'`), report.InitFailed,
		[]string{`spelt "Success"`}},
	"nothing printed": {testkit.Script("exit 1"), report.InitInvalidOutput,
		[]string{"printed nothing", "exit status 1"}},
	"killed by a signal": {testkit.Script("kill -SEGV $$"), report.InitInvalidOutput,
		[]string{"segmentation fault"}},
	"capabilities null": {testkit.Script("echo '" + testkit.NullCaps + "'"), report.InitWouldCrashKubelet,
		[]string{"null", "crash"}},
	"capabilities a list": {testkit.Script(`echo '{"status":"Success","capabilities":[]}'`), report.InitInvalidOutput,
		[]string{"array", "capabilities"}},
	"attach a string": {testkit.Script(`echo '{"status":"Success","capabilities":{"attach":"false"}}'`),
		report.InitInvalidOutput, []string{"capabilities.attach", "string"}},
	"endless output": {testkit.Script("while echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do :; done"),
		report.InitInvalidOutput, []string{"more than 1048576 bytes"}},
	"hanging": {testkit.Script("echo waiting for the disk\nsleep 1000"), report.InitTimeout,
		[]string{"did not end within 1s", "no pod on the node", "waiting for the disk"}},
	"hanging, deaf to SIGTERM, with a child": {testkit.Script("trap '' TERM\nsleep 1000 & sleep 1000"), report.InitTimeout,
		[]string{"did not end"}},
	"a background child holds stdout": {testkit.Script("sleep 1000 &\n" + testkit.GoodReply), report.InitTimeout,
		[]string{"background", "stdout or stderr", "Success"}},
	"init changes its own file": {testkit.Script("echo '# more' >> $0\n" + testkit.GoodReply), report.InitFailed,
		[]string{"changed the driver's own file"}},
	"missing interpreter": {"#!/usr/bin/python9\n", report.MissingInterpreter,
		[]string{"/usr/bin/python9", "does not exist"}},
	"interpreter without x":   {"#!/etc/no-x\n", report.MissingInterpreter, []string{"not executable"}},
	"interpreter a directory": {"#!/etc\n", report.MissingInterpreter, []string{"not a file"}},
	"env finds nothing": {"#!/bin/env jq-interpreter\n", report.MissingInterpreter,
		[]string{`"jq-interpreter"`, "/usr/local/sbin"}},
	"Windows line ends":                      {"#!/bin/sh\r\necho\r\n", report.MissingInterpreter, []string{"carriage return"}},
	"#! without a name":                      {"#!\n", report.InitNotExecutable, []string{"names no interpreter"}},
	"an empty file":                          {"", report.InitNotExecutable, []string{"empty"}},
	"text without #!":                        {"echo hello\n", report.InitNotExecutable, []string{`"echo hello\n"`, "#! line"}},
	"a cut off ELF file":                     {"\x7fELF\x02\x01\x01", report.InitNotExecutable, []string{"cut off"}},
	"an interpreter that the kernel refuses": {"#!/etc/garbage\n", report.WrongArchitecture, []string{"exec format error"}},
}

// addBadInterpreters puts on a node what two of the drivers ask for.
func addBadInterpreters(n *node) {
	n.t.Helper()
	testkit.Write(n.t, n.root+"/etc/garbage", "\x7fELF garbage")
	if err := os.Chmod(testkit.Write(n.t, n.root+"/etc/no-x", ""), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func TestDriversThatFailAreNeverVisibleAndNameTheirReason(t *testing.T) {
	t.Parallel()
	for name, test := range failing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			addBadInterpreters(n)
			kubelet := newKubelet(t, n.plugins())
			out := n.newPod("pod-1", "nfs", "r1", test.driver).install("--timeout=1s")
			out.wantFailure(t, test.reason, test.words...)
			if out.Serving != (report.Serving{}) || out.Revision != "r1" {
				t.Errorf("report %+v", out.Report)
			}
			kubelet.wantSeen()
			n.nothingLeft("[]")
		})
	}
}

func TestAFailingNewVersionLeavesTheOldOneServing(t *testing.T) {
	t.Parallel()
	for name, test := range failing {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			addBadInterpreters(n)
			old := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
			before, _ := os.Stat(n.exec())
			kubelet := newKubelet(t, n.plugins())
			out := n.newPod("pod-2", "nfs", "r2", test.driver).install("--timeout=1s")
			out.wantFailure(t, test.reason)
			if out.Serving != (report.Serving{Revision: "r1", SHA256: old.SHA256}) {
				t.Errorf("serving %+v", out.Serving)
			}
			after, _ := os.Stat(n.exec())
			if !os.SameFile(before, after) || n.record().InstallID != "pod-1" {
				t.Error("the old version was touched")
			}
			kubelet.wantSeen()
			n.nothingLeft("[example.com~nfs]")
		})
	}
}

func TestForeignArchitecturesAreNamed(t *testing.T) {
	t.Parallel()
	for machine, want := range map[string]string{
		"\xf3\x00": "riscv64 (64-bit, little-endian)",
		"\x08\x00": "mips (64-bit, little-endian)",
	} {
		n := newNode(t)
		program := []byte(testkit.Read(t, "/proc/self/exe"))
		copy(program[18:], machine)
		out := n.newPod("pod-1", "nfs", "r1", string(program)).install()
		out.wantFailure(t, report.WrongArchitecture, want, "this node is "+runtime.GOARCH)
		n.nothingLeft("[]")
	}
}

func TestADynamicDriverNeedsItsLoaderOnTheNode(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	dynamic := testkit.Read(t, n.root+"/bin/cat")
	n.newPod("pod-1", "nfs", "r1", dynamic).install().wantFailure(t, report.InitInvalidOutput)
	for _, dir := range []string{"/lib", "/lib64"} {
		if err := os.RemoveAll(n.root + dir); err != nil {
			t.Fatal(err)
		}
	}
	n.newPod("pod-2", "nfs", "r1", dynamic).install().
		wantFailure(t, report.MissingInterpreter, "dynamically linked", "ld-")
}

func TestAMissingSourceIsNamedWithWhatIsThere(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.install("--source="+p.image+"/nsf").wantFailure(t, report.SourceNotFound, "no file", "has nfs")
	p.install("--source="+p.image).wantFailure(t, report.SourceNotFound, "directory")
	p.install("--source=/dev/null").wantFailure(t, report.SourceNotFound, "special file")
	n.nothingLeft("[]")
}

func TestPluginDirIsNeverMade(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.install("--plugin-dir=/opt/none").wantFailure(t, report.PluginDirNotFound, "/opt/none", "kubelet makes its plugin directory")
	if _, err := os.Lstat(n.root + "/opt"); !os.IsNotExist(err) {
		t.Error("/opt was made")
	}
	testkit.Write(t, n.root+"/etc/file", "")
	for _, path := range []string{"/etc/file", "/etc/file/exec"} {
		p.install("--plugin-dir="+path).wantFailure(t, report.PluginDirNotFound, "not a directory")
	}
	if err := os.Symlink("/gone", n.root+"/etc/link"); err != nil {
		t.Fatal(err)
	}
	p.install("--plugin-dir=/etc/link").wantFailure(t, report.PluginDirNotFound, "/gone")
	p.install("--host=/nowhere").wantFailure(t, report.InternalError, "/nowhere")
}

func TestMountsThatCannotServeAreRefused(t *testing.T) {
	t.Parallel()
	for flags, reason := range map[uintptr]report.Reason{
		syscall.MS_RDONLY: report.PluginDirReadOnly,
		syscall.MS_NOEXEC: report.PluginDirNoExec,
	} {
		n := newNode(t)
		testkit.Bind(t, n.plugins(), n.plugins(), flags)
		n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).install().
			wantFailure(t, reason, n.pluginDir, "kubelet")
	}
}

func TestAFullFileSystemIsNoSpace(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	testkit.Mount(t, "tmpfs", n.plugins(), "tmpfs", 0)
	if err := syscall.Mount("", n.plugins(), "", syscall.MS_REMOUNT, "size=64k"); err != nil {
		t.Fatal(err)
	}
	big := testkit.GoodScript("1") + strings.Repeat("#", 100_000)
	n.newPod("pod-1", "nfs", "r1", big).install().wantFailure(t, report.NoSpace, "no space left")
	n.nothingLeft("[]")
}

func TestAnImmutableDirectoryIsPermissionDenied(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	setImmutable(t, n.dir())
	out := n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2")).install()
	out.wantFailure(t, report.PermissionDenied, "operation not permitted")
	if out.Serving.Revision != "r1" {
		t.Errorf("serving %+v", out.Serving)
	}
	n.nothingLeft("[example.com~nfs]")
}

func TestARefusalOfAnEnforcingNodeIsSELinuxDenied(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	testkit.Write(t, n.root+"/sys/fs/selinux/enforce", "1")
	setImmutable(t, n.dir())
	out := n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2")).install()
	out.wantFailure(t, report.SELinuxDenied, "operation not permitted", "enforcing", "this process is")
	if out.Serving.Revision != "r1" {
		t.Errorf("serving %+v", out.Serving)
	}
}

func TestARefusalToExecuteIsToldFromSELinuxs(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	opt := filepath.Dir(testkit.Write(t, n.root+"/opt/sh", testkit.Read(t, n.root+"/bin/sh")))
	testkit.Bind(t, opt, opt, syscall.MS_NOEXEC)
	p := n.newPod("pod-1", "nfs", "r1", "#!/opt/sh\n"+testkit.GoodReply+"\n")
	p.install().wantFailure(t, report.InitNotExecutable, "permission denied", "audit log")
	testkit.Write(t, n.root+"/sys/fs/selinux/enforce", "1")
	p.install().wantFailure(t, report.SELinuxDenied, "permission denied", "audit log", "enforcing")
	n.nothingLeft("[]")
}

func TestAFullVolumeOfThePodIsNoSpace(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")+strings.Repeat("#", 100_000))
	small := t.TempDir()
	testkit.Mount(t, "tmpfs", small, "tmpfs", 0)
	if err := syscall.Mount("", small, "", syscall.MS_REMOUNT, "size=64k"); err != nil {
		t.Fatal(err)
	}
	p.install("--payload="+small+"/payload").wantFailure(t, report.NoSpace, "copy for the guard", "no space left")
	n.nothingLeft("[]")
}

func TestARecordDoesNotChangeWhenTheFileCannot(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
	if err := os.Remove(n.exec()); err != nil {
		t.Fatal(err)
	}
	testkit.Write(t, filepath.Join(n.exec(), "somebody's"), "")
	n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2")).install().
		wantFailure(t, report.PublishFailed, "directory not empty")
	if r := n.record(); r.InstallID != "pod-1" {
		t.Errorf("record %+v", r)
	}
	n.nothingLeft("[example.com~nfs]")
}

func TestAPayloadThatCannotBeWrittenIsTheInstallersFault(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.install("--payload=/proc/payload").wantFailure(t, report.InternalError, "/proc/payload")
	n.nothingLeft("[]")
	if _, err := os.Stat(filepath.Join(p.shared, "payload")); !os.IsNotExist(err) {
		t.Error("a payload was left")
	}
}
