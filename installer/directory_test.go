package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

const (
	elsewhere     = "/var/lib/kubelet/volumeplugins"
	kubeletConfig = "/var/lib/kubelet/config.yaml"
	kubeletGroup  = "/system.slice/kubelet.service"
	managerGroup  = "/kubepods/burstable/pod0123456789abcdef0123456789abcdef/0123"
)

// runs lets a process run on the node.
func (n *node) runs(group string, argv ...string) {
	n.t.Helper()
	entries, err := os.ReadDir(n.root + "/proc")
	if err != nil {
		n.t.Fatal(err)
	}
	testkit.Process(n.t, n.root, 100+len(entries), group, argv...)
}

func (n *node) makeDir(path string) {
	n.t.Helper()
	if err := os.MkdirAll(n.root+path, 0o755); err != nil {
		n.t.Fatal(err)
	}
}

// tree describes all that is on the node, to see that nothing changed.
func (n *node) tree() string { return n.treeOf(n.root) }

func (n *node) treeOf(root string) string {
	n.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		// Not the time of change: other tests' nodes are links to the same files.
		fmt.Fprintln(&all, path, stat.Ino, info.Mode(), info.Size(), info.ModTime())
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return all.String()
}

func TestADirectoryThatIsNotTheKubeletsIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	t.Parallel()
	const inFile = "volumePluginDir in " + kubeletConfig
	for name, test := range map[string]struct {
		argv      []string
		prepare   func(n *node)
		pluginDir string // as told to install
		kubelet   report.Seen
	}{
		"by its flag": {[]string{"--volume-plugin-dir=" + elsewhere + "/"}, nil, testkit.PluginDir,
			report.Seen{PluginDir: elsewhere, From: "--volume-plugin-dir"}},
		"by its file": {[]string{"--config=" + kubeletConfig}, func(n *node) {
			testkit.Write(n.t, n.root+kubeletConfig, "volumePluginDir: volumeplugins/\n")
		}, testkit.PluginDir, report.Seen{PluginDir: elsewhere, From: inFile}},
		"by default": {nil, nil, elsewhere, report.Seen{PluginDir: testkit.PluginDir, From: "the default"}},
		"it has made none": {[]string{"--volume-plugin-dir=/opt/none"}, nil, testkit.PluginDir,
			report.Seen{PluginDir: "/opt/none", From: "--volume-plugin-dir"}},
		"ours does not exist": {nil, nil, "/opt/none", report.Seen{PluginDir: testkit.PluginDir, From: "the default"}},
		"ours is read-only": {nil, func(n *node) {
			testkit.Bind(n.t, n.root+elsewhere, n.root+elsewhere, syscall.MS_RDONLY)
		}, elsewhere, report.Seen{PluginDir: testkit.PluginDir, From: "the default"}},
		"ours is below it": {nil, func(n *node) { n.makeDir(testkit.PluginDir + "/sub") }, testkit.PluginDir + "/sub",
			report.Seen{PluginDir: testkit.PluginDir, From: "the default"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.makeDir(elsewhere)
			if test.prepare != nil {
				test.prepare(n)
			}
			n.runs(kubeletGroup, append([]string{"/usr/bin/kubelet"}, test.argv...)...)
			p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
			before := n.tree()
			out := p.install("--plugin-dir=" + test.pluginDir)
			out.wantFailure(t, report.DirectoryMismatch, "looks into "+test.kubelet.PluginDir+" ("+test.kubelet.From+")",
				"not into "+test.pluginDir+";", "spec.pluginDir", "flexvolume.io/force-plugin-dir")
			if n.tree() != before {
				t.Error("the node is not as it was")
			}
			if testkit.List(t, p.shared) != "[install.report]" {
				t.Errorf("left for the guard: %s", testkit.List(t, p.shared))
			}
			if out.Kubelet != test.kubelet || out.Interpreter != "" || out.Serving != (report.Serving{}) || out.Revision != "r1" {
				t.Errorf("report %+v", out.Report)
			}
		})
	}
}

func TestOneDirectoryByTwoPathsIsNoMismatch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kubelet string
		prepare func(n *node)
	}{
		"spelt alike":      {testkit.PluginDir, nil},
		"a trailing slash": {testkit.PluginDir + "/", nil},
		"slashes and dots": {"/usr//./libexec/../libexec" + strings.TrimPrefix(testkit.PluginDir, "/usr/libexec"), nil},
		"through a link":   {"/exec", func(n *node) { must(os.Symlink(testkit.PluginDir, n.root+"/exec")) }},
		"a link above it":  {"/lib/kubernetes/kubelet-plugins/volume/exec", func(n *node) { must(os.Symlink("../usr/libexec/kubernetes", n.root+"/lib/kubernetes")) }},
		"another bind mount": {elsewhere, func(n *node) {
			n.makeDir(elsewhere)
			testkit.Bind(n.t, n.plugins(), n.root+elsewhere, 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			if test.prepare != nil {
				test.prepare(n)
			}
			n.runs(kubeletGroup, "kubelet", "--volume-plugin-dir="+test.kubelet)
			out := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
			if want := filepath.Clean(test.kubelet); out.Kubelet.PluginDir != want || out.Path != testkit.PluginDir+"/example.com~nfs/nfs" {
				t.Errorf("report %+v, want the kubelet in %s", out.Report, want)
			}
			n.nothingLeft("[example.com~nfs]")
		})
	}
}

func TestForceAndTheRoleOfAControllerManagerOverruleTheKubelet(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--force-plugin-dir", "--role=controller-manager"} {
		n := newNode(t)
		n.runs(kubeletGroup, "kubelet", "--volume-plugin-dir="+elsewhere)
		n.runs(managerGroup, "kube-controller-manager", "--flex-volume-plugin-dir=/in/its/container")
		out := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall(flag)
		if out.Kubelet != (report.Seen{PluginDir: elsewhere, From: "--volume-plugin-dir"}) ||
			out.ControllerManager != (report.Seen{PluginDir: "/in/its/container", From: "--flex-volume-plugin-dir", Container: true}) {
			t.Errorf("%s: report %+v", flag, out.Report)
		}
		n.nothingLeft("[example.com~nfs]")
	}
}

func TestAKubeletThatIsNotKnownFailsNothing(t *testing.T) {
	t.Parallel()
	for name, argv := range map[string][]string{
		"embedded in another program": {"/usr/local/bin/k3s", "server"},
		"with a file nobody can read": {"kubelet", "--config=/var/lib/kubelet/gone.yaml"},
		"with a file of its own":      {"kubelet", "--config=config.yaml"},
	} {
		n := newNode(t)
		n.runs(kubeletGroup, argv...)
		out := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall()
		if out.Kubelet != (report.Seen{}) || out.ControllerManager != (report.Seen{}) {
			t.Errorf("%s: report %+v", name, out.Report)
		}
	}
}

func TestWhatWasSeenIsReportedAlsoAfterAFailure(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.runs(kubeletGroup, "kubelet")
	n.runs(kubeletGroup, "kube-controller-manager")
	kubelet := report.Seen{PluginDir: testkit.PluginDir, From: "the default"}
	p := n.newPod("pod-1", "nfs", "r1", testkit.Script("exit 1"))
	for name, test := range map[string]struct {
		out         outcome
		reason      report.Reason
		interpreter string
	}{
		"before staging": {p.install("--source=/nowhere"), report.SourceNotFound, ""},
		"of init":        {p.install(), report.InitInvalidOutput, "/bin/sh"},
	} {
		test.out.wantFailure(t, test.reason)
		if test.out.Kubelet != kubelet || test.out.ControllerManager != kubelet || test.out.Interpreter != test.interpreter {
			t.Errorf("%s: report %+v", name, test.out.Report)
		}
	}
}

func TestTheReportTellsWhatTheDriverNeedsToRun(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	dynamic := testkit.Read(t, n.root+"/bin/cat")
	for name, test := range map[string]struct{ content, want string }{
		"a script":           {testkit.GoodScript("1"), "/bin/sh"},
		"a script by env":    {strings.Replace(testkit.GoodScript("1"), "#!/bin/sh", "#!/bin/env sh", 1), "/bin/env"},
		"no such thing":      {"#!/opt/python\n", "/opt/python"},
		"Windows line ends":  {"#!/bin/sh\r\n", "/bin/sh"},
		"a dynamic program":  {dynamic, testkit.Loader(t, n.root+"/bin/cat")},
		"text that is no #!": {"echo\n", ""},
	} {
		if out := n.newPod("pod-1", "nfs", "r1", test.content).install(); out.Interpreter != test.want || out.SHA256 == "" {
			t.Errorf("%s: %+v, want %s", name, out.Report, test.want)
		}
	}
	out := n.newPod("pod-2", "nfs", "r1", "#!/opt/python\n").mustInstall("--verify=Skip")
	if out.Interpreter != "/opt/python" {
		t.Errorf("without verification: %+v", out.Report)
	}
}

// It must not run beside other tests that look at the real processes.
func TestARealKubeletIsReadWithTheCapabilitiesOfThePod(t *testing.T) {
	n := newNode(t)
	testkit.RealProc(t, n.root)
	testkit.Write(t, n.root+kubeletConfig, "volumePluginDir: "+elsewhere+"\n")
	for path, mode := range map[string]os.FileMode{kubeletConfig: 0o600, filepath.Dir(kubeletConfig): 0o700} {
		must(os.Chmod(n.root+path, mode))
		must(os.Chown(n.root+path, 1000, 1000))
	}
	n.makeDir(elsewhere)
	testkit.StandIn(t, "/usr/bin/kubelet", "--config", kubeletConfig)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).with(capDACOverride, capFOwner, capSysChroot)
	p.install().wantFailure(t, report.DirectoryMismatch, kubeletConfig)
	n.pluginDir = elsewhere
	p.mustInstall()
	if got := testkit.List(t, n.plugins()); got != "[example.com~nfs]" {
		t.Errorf("plugin directory holds %s", got)
	}
}
