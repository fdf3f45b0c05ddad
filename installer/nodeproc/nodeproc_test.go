package nodeproc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/testkit"
)

func TestMain(m *testing.M) {
	testkit.BeStandIn()
	os.Exit(testkit.Isolate(m))
}

func makePipe(path string) error { return syscall.Mkfifo(path, 0o644) }

func looked(t *testing.T, root string) Seen {
	t.Helper()
	return Look(hostfs.Root(root), testkit.Patience)
}

// Paths of control groups as nodes of several kinds show them.
const (
	unit        = "/system.slice/kubelet.service"
	podSystemd  = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6c0e2b57_8d0a_4d5b_9a52_0c5b4b1f7e11.slice/cri-containerd-0123.scope"
	podCgroupfs = "/kubepods/besteffort/pod6c0e2b57-8d0a-4d5b-9a52-0c5b4b1f7e11/0123456789abcdef"
	podRelative = "/../../pod6c0e2b57-8d0a-4d5b-9a52-0c5b4b1f7e11/0123456789abcdef"
	podStatic   = "/../../../burstable/pod0123456789abcdef0123456789abcdef/0123456789abcdef"
	podKind     = "/docker/0123/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice/x"
	docker      = "/docker/0123456789abcdef"
	podman      = "/machine.slice/libpod-0123.scope"
	crio        = "/system.slice/crio-0123.scope"
	containerd  = "/system.slice/cri-containerd-0123.scope"
	unitFromPod = "/../../../../system.slice/kubelet.service"
)

func TestAProcessIsAComponentByTheNameItWasStartedWith(t *testing.T) {
	for _, argv := range [][]string{
		{"kubelet"}, {"/usr/bin/kubelet"}, {"./kubelet"}, {"/usr/bin/hyperkube", "kubelet"}, {"hyperkube", "kubelet"},
	} {
		root := t.TempDir()
		testkit.Process(t, root, 7, unit, append(argv, "--volume-plugin-dir=/x")...)
		if got := looked(t, root); got != (Seen{Kubelet: inFlag("/x")}) {
			t.Errorf("%q: %+v", argv, got)
		}
	}
	for _, argv := range [][]string{
		{"kube-controller-manager"}, {"/usr/local/bin/kube-controller-manager"},
		{"/hyperkube", "kube-controller-manager"}, {"hyperkube", "controller-manager"},
	} {
		root := t.TempDir()
		testkit.Process(t, root, 7, unit, append(argv, "--flex-volume-plugin-dir=/y")...)
		if got := looked(t, root); got != (Seen{ControllerManager: Setting{"/y", "--flex-volume-plugin-dir"}}) {
			t.Errorf("%q: %+v", argv, got)
		}
	}
	for _, argv := range [][]string{
		nil, {""}, {"/"}, {"vim", "/etc/kubelet"}, {"grep", "-r", "kubelet"}, {"kubelet.sh"}, {"kubelet-wrapper"},
		{"sh", "-c", "kubelet --volume-plugin-dir=/x"}, {"/bin/bash", "/usr/bin/kubelet"}, {"strace", "kubelet"},
		{"hyperkube"}, {"hyperkube", "proxy"}, {"hyperkube", "--v=2", "kubelet"}, {"controller-manager"},
		{"Kubelet"}, {"cloud-controller-manager"}, {"kubelite"}, {"/usr/local/bin/k3s", "server"}, {"/usr/bin/kubelet\n"},
	} {
		root := t.TempDir()
		testkit.Process(t, root, 7, unit, argv...)
		if got := looked(t, root); got != (Seen{}) {
			t.Errorf("%q: %+v", argv, got)
		}
	}
}

func TestRealProcessesAreSeenAmongOthers(t *testing.T) {
	root := t.TempDir()
	testkit.RealProc(t, root)
	if got := looked(t, root); got != (Seen{}) {
		t.Fatalf("before: %+v", got)
	}
	long := "--node-labels=" + strings.Repeat("example.com/label=value,", 1000)
	for _, argv := range [][]string{
		{"vim", "kubelet", "--volume-plugin-dir=/vim"},
		{"strace", "-f", "/usr/bin/kubelet", "--volume-plugin-dir=/strace"},
		{"sh", "-c", "exec kubelet --volume-plugin-dir=/sh"},
		{"", "kubelet"},
		{"/usr/bin/kube-controller-manager", long, "--flex-volume-plugin-dir", "/y"},
	} {
		testkit.StandIn(t, argv...)
	}
	end := testkit.StandIn(t, "/usr/bin/kubelet", "--v=2", long, "--volume-plugin-dir", "/x/")
	want := Seen{
		Kubelet: inFlag("/x"), ControllerManager: Setting{"/y", "--flex-volume-plugin-dir"}, Path: testkit.StandInPath,
	}
	if got := looked(t, root); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	end()
	want.Kubelet, want.Path = unknown, ""
	if got := looked(t, root); got != want {
		t.Errorf("after the kubelet's end: %+v", got)
	}
}

func TestThePathOfTheKubeletIsKnownWhereItsEnvironmentCanBeRead(t *testing.T) {
	root := t.TempDir()
	for pid, environ := range map[string]string{
		"7": "HOME=/\x00PATH=/opt/bin:/bin\x00", "8": "PATH=/of/a/pod\x00", "9": "PATH=/of/another/program\x00",
	} {
		testkit.Write(t, root+"/proc/"+pid+"/environ", environ)
	}
	testkit.Process(t, root, 7, unit, "kubelet", "--volume-plugin-dir=/x")
	testkit.Process(t, root, 8, podCgroupfs, "kubelet", "--volume-plugin-dir=/x")
	testkit.Process(t, root, 9, unit, "sh")
	if got := looked(t, root); got.Path != "/opt/bin:/bin" {
		t.Errorf("%+v", got)
	}
	testkit.Process(t, root, 10, unit, "kubelet", "--volume-plugin-dir=/x")
	if got := looked(t, root); got.Path != "" || got.Kubelet != inFlag("/x") {
		t.Errorf("of two: %+v", got)
	}
}

func TestAZombieIsNoKubelet(t *testing.T) {
	root := t.TempDir()
	testkit.RealProc(t, root)
	cmd := exec.Cmd{Path: "/bin/true", Args: []string{"kubelet", "--volume-plugin-dir=/x"}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "it is a zombie", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("%s/proc/%d/stat", root, cmd.Process.Pid))
		return err == nil && strings.Contains(string(stat), ") Z ")
	})
	if got := looked(t, root); got != (Seen{}) {
		t.Errorf("%+v", got)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestProcessesThatVanishArePassedOver(t *testing.T) {
	root := t.TempDir()
	testkit.RealProc(t, root)
	testkit.StandIn(t, "kubelet", "--volume-plugin-dir=/x")
	var starters sync.WaitGroup
	for range 4 {
		starters.Go(func() {
			for range 50 {
				cmd := exec.Cmd{Path: "/bin/true", Args: []string{"kubelet", "--volume-plugin-dir=/x"}}
				if err := cmd.Run(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { starters.Wait(); close(ended) }()
	for looks := 0; ; looks++ {
		got := looked(t, root)
		if got.Path = ""; got != (Seen{Kubelet: inFlag("/x")}) {
			t.Errorf("look %d: %+v", looks, got)
		}
		select {
		case <-ended:
			t.Logf("%d looks", looks)
			return
		default:
		}
	}
}

func TestOfSeveralKubeletsThoseInPodsDoNotCount(t *testing.T) {
	x, y := "--volume-plugin-dir=/x", "--volume-plugin-dir=/y"
	type kubelets [][2]string // control group and flag
	for name, test := range map[string]struct {
		all  kubelets
		want Setting
	}{
		"none":                          {nil, unknown},
		"two that agree":                {kubelets{{unit, x}, {docker, x + "/"}}, inFlag("/x")},
		"two that do not":               {kubelets{{unit, x}, {docker, y}}, unknown},
		"one that is not known":         {kubelets{{unit, x}, {unitFromPod, "--config=/gone"}}, unknown},
		"one in a pod of systemd":       {kubelets{{podSystemd, y}, {unit, x}}, inFlag("/x")},
		"one in a pod of cgroupfs":      {kubelets{{podCgroupfs, y}, {unit, x}}, inFlag("/x")},
		"one in a pod beside ours":      {kubelets{{podRelative, y}, {unitFromPod, x}}, inFlag("/x")},
		"one in a static pod":           {kubelets{{podStatic, y}, {unitFromPod, x}}, inFlag("/x")},
		"one in a pod of kind":          {kubelets{{podKind, y}, {docker, x}}, inFlag("/x")},
		"one in a pod, nothing known":   {kubelets{{podSystemd, "--config=/gone"}, {unit, x}}, inFlag("/x")},
		"two outside and one in a pod":  {kubelets{{podSystemd, y}, {unit, x}, {docker, y}}, unknown},
		"only in a pod":                 {kubelets{{podSystemd, x}}, unknown},
		"only in pods that agree":       {kubelets{{podRelative, x}, {podCgroupfs, x}}, unknown},
		"a user whose name is like one": {kubelets{{"/user.slice/podbean/pod-x", x}}, inFlag("/x")},
	} {
		root := t.TempDir()
		for i, k := range test.all {
			testkit.Process(t, root, 100+i, k[0], "kubelet", k[1])
		}
		if got := looked(t, root); got != (Seen{Kubelet: test.want}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAControllerManagerMayRunInAContainer(t *testing.T) {
	x, y := "--flex-volume-plugin-dir=/x", "--flex-volume-plugin-dir=/y"
	told := func(dir string) Setting { return Setting{dir, "--flex-volume-plugin-dir"} }
	type managers [][2]string
	for name, test := range map[string]struct {
		all  managers
		want Seen
	}{
		"on the host":                {managers{{"/system.slice/k0scontroller.service", x}}, Seen{ControllerManager: told("/x")}},
		"in a pod":                   {managers{{podSystemd, x}}, Seen{ControllerManager: told("/x"), Contained: true}},
		"in a pod of cgroupfs":       {managers{{podCgroupfs, x}}, Seen{ControllerManager: told("/x"), Contained: true}},
		"in a static pod":            {managers{{podStatic, x}}, Seen{ControllerManager: told("/x"), Contained: true}},
		"in docker":                  {managers{{docker, x}}, Seen{ControllerManager: told("/x"), Contained: true}},
		"in podman":                  {managers{{podman, x}}, Seen{ControllerManager: told("/x"), Contained: true}},
		"in CRI-O":                   {managers{{crio, x}}, Seen{ControllerManager: told("/x"), Contained: true}},
		"in containerd":              {managers{{containerd, x}}, Seen{ControllerManager: told("/x"), Contained: true}},
		"no flag":                    {managers{{unit, "--v=2"}}, Seen{ControllerManager: standard}},
		"nothing known":              {managers{{podStatic, "--flex-volume-plugin-dir=x"}}, Seen{}},
		"two pods that agree":        {managers{{podStatic, x}, {podSystemd, x}}, Seen{ControllerManager: told("/x"), Contained: true}},
		"two pods that do not":       {managers{{podStatic, x}, {podSystemd, y}}, Seen{}},
		"host and another in a pod":  {managers{{podSystemd, y}, {unit, x}}, Seen{ControllerManager: told("/x")}},
		"host and the same in a pod": {managers{{podSystemd, x}, {unit, x}}, Seen{ControllerManager: told("/x")}},
	} {
		root := t.TempDir()
		for i, m := range test.all {
			testkit.Process(t, root, 100+i, m[0], "kube-controller-manager", m[1])
		}
		if got := looked(t, root); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestANodeWithoutAReadableProcIsUnknown(t *testing.T) {
	root := t.TempDir()
	if got := looked(t, root); got != (Seen{}) {
		t.Errorf("no /proc: %+v", got)
	}
	testkit.Write(t, root+"/proc/version", "Linux\n")
	for pid, missing := range map[int]string{1: "cmdline", 2: "cgroup"} {
		testkit.Process(t, root, pid, unit, "kubelet")
		if err := os.Remove(filepath.Join(root, "proc", strconv.Itoa(pid), missing)); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Process(t, root, 0, unit, "kubelet")
	if err := os.Rename(root+"/proc/0", root+"/proc/self"); err != nil {
		t.Fatal(err)
	}
	if got := looked(t, root); got != (Seen{}) {
		t.Errorf("nothing whole in /proc: %+v", got)
	}
}

func TestOnlyTheCommandLineOfOthersIsRead(t *testing.T) {
	root := t.TempDir()
	for pid := range 1000 {
		argv := []string{"pause"}
		if pid%2 == 0 {
			argv = nil // a kernel thread
		}
		testkit.Process(t, root, pid+2, unit, argv...)
	}
	// Whoever opens this waits for ever.
	blocked := root + "/proc/501/cgroup"
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if err := makePipe(blocked); err != nil {
		t.Fatal(err)
	}
	testkit.Process(t, root, 4000, unit, "kubelet")
	if got := looked(t, root); got != (Seen{Kubelet: standard}) {
		t.Errorf("%+v", got)
	}
}

func TestAProcessThatHangsHoldsNobodyUp(t *testing.T) {
	root := t.TempDir()
	testkit.Process(t, root, 1, unit, "kubelet")
	testkit.Write(t, root+"/proc/2/cgroup", "")
	if err := makePipe(root + "/proc/2/cmdline"); err != nil {
		t.Fatal(err)
	}
	if got := Look(hostfs.Root(root), 50*time.Millisecond); got != (Seen{}) {
		t.Errorf("%+v", got)
	}
}

func TestWhereKubeletsKeepTheirPods(t *testing.T) {
	root := t.TempDir()
	testkit.Process(t, root, 1, unit, "kubelet", "--root-dir=/data/kubelet/")
	testkit.Process(t, root, 2, unit, "kubelet", "--root-dir", "relative")
	testkit.Process(t, root, 3, unit, "kubelet")
	testkit.Process(t, root, 4, podSystemd, "kubelet", "--root-dir=/another/cluster")
	if got := KubeletRoots(hostfs.Root(root), testkit.Patience); !slices.Equal(got, []string{"/data/kubelet"}) {
		t.Errorf("%q", got)
	}
}
