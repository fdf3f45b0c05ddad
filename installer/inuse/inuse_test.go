package inuse

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Isolate(m)) }

var nfs = Driver{"example.com", "nfs"}

func TestVolumesAreRecognisedBelowAnyRoot(t *testing.T) {
	for path, want := range map[string]Volume{
		"/var/lib/kubelet/pods/u1/volumes/example.com~nfs/data":                       {"/var/lib/kubelet/pods/u1/volumes/example.com~nfs/data", "u1"},
		"/var/lib/kubelet/pods/u1/volumes/example.com~nfs/data/a/b":                   {"/var/lib/kubelet/pods/u1/volumes/example.com~nfs/data", "u1"},
		"/pods/pods/u1/volumes/example.com~nfs/da ta":                                 {"/pods/pods/u1/volumes/example.com~nfs/da ta", "u1"},
		"/data/k/plugins/kubernetes.io/flexvolume/example.com/nfs/mounts/d":           {"/data/k/plugins/kubernetes.io/flexvolume/example.com/nfs/mounts/d", ""},
		"/var/lib/kubelet/pods/u1/volumes/example.com~nfs":                            {},
		"/var/lib/kubelet/pods/u1/volumes/example.com~nfs/":                           {},
		"/var/lib/kubelet/pods/u1/volumes/example.com~nfs2/data":                      {},
		"/var/lib/kubelet/pods/u1/volumes/example~com~nfs/data":                       {},
		"/var/lib/kubelet/pods/u1/volumes/kubernetes.io~csi/nfs":                      {},
		"/var/lib/kubelet/pods/u1/volume-subpaths/example.com~nfs/c/0":                {},
		"/var/lib/kubelet/plugins/kubernetes.io/flexvolume/example.com/nfs/mounts":    {},
		"/var/lib/kubelet/plugins/kubernetes.io/flexvolume/example.com/ntfs/mounts/d": {},
		"/usr/libexec/example.com~nfs/nfs":                                            {},
		"/":                                                                           {},
		"":                                                                            {},
	} {
		got, known := nfs.volume(path)
		if got != want || known != (want != Volume{}) {
			t.Errorf("%s: %+v, %t", path, got, known)
		}
	}
}

// find gives the paths and pods of what Find finds.
func find(t *testing.T, host string, roots ...string) []Volume {
	t.Helper()
	found, err := Find(hostfs.Root(host), nfs, roots)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func mkdir(t *testing.T, host, path string) string {
	t.Helper()
	if err := os.MkdirAll(host+path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestANodeWithoutPodsHasNone(t *testing.T) {
	if got := find(t, t.TempDir()); got != nil {
		t.Errorf("%+v", got)
	}
}

func TestMountsBelowTheRootAreFoundInWhateverDirectoryTheKubeletHas(t *testing.T) {
	host := t.TempDir()
	volume := mkdir(t, host, "/data/kube let/pods/u1/volumes/example.com~nfs/my data")
	device := mkdir(t, host, "/data/kube let/plugins/kubernetes.io/flexvolume/example.com/nfs/mounts/disk")
	if got := find(t, host); got != nil {
		t.Errorf("directories of a kubelet that nobody knows: %+v", got)
	}
	for _, path := range []string{volume, device} {
		testkit.Mount(t, "tmpfs", host+path, "tmpfs", 0)
	}
	want := []Volume{{device, ""}, {volume, "u1"}}
	if got := find(t, host); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAMountAtTwoPathsIsOneVolume(t *testing.T) {
	host := t.TempDir()
	table := ""
	for _, at := range []string{"/data/disk/kubelet", "/k", "/data/disk2/kubelet"} {
		for _, path := range []string{
			"/pods/u1/volumes/example.com~nfs/data", "/pods/u2/volumes/example.com~nfs/data",
			"/plugins/kubernetes.io/flexvolume/example.com/nfs/mounts/data",
		} {
			table += "40 36 0:2 / " + at + path + " rw - tmpfs x rw\n"
		}
	}
	testkit.Write(t, host+"/proc/1/mountinfo", table)
	want := []Volume{
		{"/k/plugins/kubernetes.io/flexvolume/example.com/nfs/mounts/data", ""},
		{"/k/pods/u1/volumes/example.com~nfs/data", "u1"}, {"/k/pods/u2/volumes/example.com~nfs/data", "u2"},
	}
	if got := find(t, host); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestMountsThatOnlyTheHostSeesCount(t *testing.T) {
	host := t.TempDir()
	testkit.Write(t, host+"/proc/1/mountinfo",
		"36 35 0:1 / / rw - ext4 x rw\n40 36 0:2 / /k/pods/u1/volumes/example.com~nfs/my\\040data rw - tmpfs x rw\n")
	want := []Volume{{"/k/pods/u1/volumes/example.com~nfs/my data", "u1"}}
	if got := find(t, host); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	testkit.Write(t, host+"/proc/1/mountinfo", "what is this\n")
	if got, err := Find(hostfs.Root(host), nfs, nil); err == nil {
		t.Errorf("a table that cannot be read was read as %+v", got)
	}
}

func TestMountsOfThisContainerAreNotTheNodes(t *testing.T) {
	host, other := t.TempDir(), t.TempDir()
	testkit.Mount(t, "tmpfs", other+mkdir(t, other, "/pods/u1/volumes/example.com~nfs/data"), "tmpfs", 0)
	if got := find(t, host); got != nil {
		t.Errorf("%+v", got)
	}
}

func TestDirectoriesCountWithoutAMount(t *testing.T) {
	host := t.TempDir()
	want := []Volume{
		{mkdir(t, host, "/data/kubelet/plugins/kubernetes.io/flexvolume/example.com/nfs/mounts/disk"), ""},
		{mkdir(t, host, "/data/kubelet/pods/u1/volumes/example.com~nfs/data"), "u1"},
		{mkdir(t, host, "/opt/kubelet/pods/u2/volumes/example.com~nfs/data"), "u2"},
		{mkdir(t, host, "/srv/kubelet/pods/u3/volumes/example.com~nfs/data"), "u3"},
	}
	mkdir(t, host, "/data/kubelet/pods/u4/volumes/example.com~nfs")       // the volume is gone
	mkdir(t, host, "/data/kubelet/pods/u4/volumes/example.com~cifs/data") // another driver's
	mkdir(t, host, "/var/lib")
	if err := os.Symlink("/data/kubelet", host+"/var/lib/kubelet"); err != nil {
		t.Fatal(err)
	}
	// The second root is told, and the third shows by the volume of some other pod.
	token := mkdir(t, host, "/srv/kubelet/pods/u5/volumes/kubernetes.io~projected/token")
	testkit.Mount(t, "tmpfs", host+token, "tmpfs", 0)
	got := find(t, host, "/opt/kubelet")
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAVolumeIsCountedOnce(t *testing.T) {
	host := t.TempDir()
	volume := mkdir(t, host, "/data/kubelet/pods/u1/volumes/example.com~nfs/data")
	mkdir(t, host, "/var/lib")
	if err := os.Symlink("../../data/kubelet", host+"/var/lib/kubelet"); err != nil {
		t.Fatal(err)
	}
	testkit.Mount(t, "tmpfs", host+volume, "tmpfs", 0)
	testkit.Mount(t, "tmpfs", host+mkdir(t, host, volume+"/deeper"), "tmpfs", 0)
	if got := find(t, host, "/var/lib/kubelet"); !slices.Equal(got, []Volume{{volume, "u1"}}) {
		t.Errorf("%+v", got)
	}
}

func TestPodsHaveNames(t *testing.T) {
	host := t.TempDir()
	if got := PodNames(hostfs.Root(host)); len(got) != 0 {
		t.Errorf("%v", got)
	}
	for _, dir := range []string{"default_db-0_u1", "a_b_c_d", "plain"} {
		mkdir(t, host, filepath.Join("/var/log/pods", dir))
	}
	if got := PodNames(hostfs.Root(host)); len(got) != 1 || got["u1"] != "default/db-0" {
		t.Errorf("%v", got)
	}
}
