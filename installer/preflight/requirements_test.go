package preflight

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// release is that of the kernel the tests run on, which stands in the names of folders.
func release(t *testing.T) string {
	return strings.TrimSpace(testkit.Read(t, "/proc/sys/kernel/osrelease"))
}

// equipped is a node with something of every kind, its /lib a link as on merged systems.
func equipped(t *testing.T) (root string, modules string) {
	root = t.TempDir()
	modules = root + "/usr/lib/modules/" + release(t)
	for path, content := range map[string]string{
		root + "/usr/bin/jq":                       "",
		root + "/opt/tools/mount.cifs":             "",
		root + "/etc/nfs.conf":                     "",
		root + "/proc/modules":                     "nbd 57344 2 - Live 0x0\ndm_mod 1 0 - Live 0x0\n",
		root + "/sys/module/ext4/initstate":        "",
		modules + "/kernel/fs/cifs/cifs.ko":        "",
		modules + "/kernel/net/wire-guard.ko.zst":  "",
		modules + "/kernel/drivers/rbd.ko.xz":      "",
		modules + "/kernel/drivers/block/a.ko.gz":  "",
		modules + "/kernel/drivers/block/no.ko.bz": "",
		modules + "/modules.dep": "kernel/fs/cifs/cifs.ko: kernel/lib/x.ko\nkernel/net/wire-guard.ko.zst:\n" +
			"kernel/drivers/rbd.ko.xz: kernel/net/ceph.ko.xz\nkernel/drivers/block/a.ko.gz:\n" +
			"kernel/drivers/block/no.ko.bz:\nkernel/gone.ko:\n",
		modules + "/modules.builtin":         "kernel/fs/fuse/fuse.ko\nkernel/fs/xfs-old.ko\n",
		modules + "/modules.alias":           "# Aliases\nalias fs-smb3 cifs\nalias pci:v00001234d* rbd\n",
		modules + "/modules.builtin.modinfo": "fuse.alias=fs-fusectl\x00fuse.license=GPL\x00",
	} {
		testkit.Write(t, path, content)
	}
	if err := os.Symlink("usr/lib", root+"/lib"); err != nil {
		t.Fatal(err)
	}
	return root, modules
}

func TestCommandsAreLookedForInTheKubeletsPath(t *testing.T) {
	root, _ := equipped(t)
	for link, target := range map[string]string{
		"/usr/bin/link": "/opt/tools/mount.cifs", "/usr/bin/dangling": "/gone", "/usr/bin/outside": root + "/usr/bin/jq",
	} {
		if err := os.Symlink(target, root+link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(testkit.Write(t, root+"/usr/bin/no-x", ""), 0o644); err != nil {
		t.Fatal(err)
	}
	const short = "/opt/tools::relative:/bin"
	for _, test := range []struct{ command, path, says string }{
		{"jq", "", ""},
		{"link", "", ""},
		{"/usr/bin/jq", short, ""},
		{"mount.cifs", short, ""},
		{"mount.cifs", "", "no command mount.cifs in PATH " + Path},
		{"jq", short, "no command jq in PATH " + short},
		{"dangling", "", "no command dangling in"},
		{"outside", "", "no command outside in"},
		{"no-x", "", "no command no-x in"},
		{"/usr/bin/no-x", "", "no command /usr/bin/no-x (is not executable)"},
		{"/usr/bin", "", "no command /usr/bin (is not a file)"},
		{"/opt/jq", "", "no command /opt/jq (does not exist)"},
	} {
		node := Node{Root: hostfs.Root(root), Path: test.path}
		wantLack(t, node.Meets(Requirements{Commands: []string{test.command}}), report.MissingHostCommand, test.says)
	}
}

func TestModulesAreLoadedOrBuiltInOrToBeLoaded(t *testing.T) {
	root, _ := equipped(t)
	for module, found := range map[string]bool{
		"nbd": true, "dm-mod": true, "dm_mod": true, // loaded
		"ext4": true, "fuse": true, "xfs_old": true, "xfs-old": true, "fs-fusectl": true, // built in
		"cifs": true, "wire_guard": true, "wire-guard": true, "rbd": true, "a": true, "fs_smb3": true, // to be loaded
		"gone": false, "no": false, "x": false, "nb": false, "57344": false, "license": false, "pci": false,
	} {
		err := Node{Root: hostfs.Root(root)}.Meets(Requirements{Modules: []string{module}})
		says := ""
		if !found {
			says = "no module " + module + " for its kernel " + release(t)
		}
		wantLack(t, err, report.MissingKernelModule, says)
	}
}

func TestModulesOfAnotherKernelDoNotCount(t *testing.T) {
	root, modules := equipped(t)
	if err := os.Rename(modules, root+"/usr/lib/modules/2.4.0"); err != nil {
		t.Fatal(err)
	}
	err := Node{Root: hostfs.Root(root)}.Meets(Requirements{Modules: []string{"nbd", "cifs"}})
	wantLack(t, err, report.MissingKernelModule, "no module cifs for its kernel "+release(t))
}

func TestPathsAreFilesDirectoriesSocketsAndLinksToThem(t *testing.T) {
	root, _ := equipped(t)
	if err := syscall.Mknod(root+"/etc/socket", syscall.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"/run": "/etc", "/etc/gone": "/none"} {
		if err := os.Symlink(target, root+link); err != nil {
			t.Fatal(err)
		}
	}
	for path, says := range map[string]string{
		"/etc": "", "/etc/nfs.conf": "", "/run/socket": "",
		"/etc/gone":       "node: no /etc/gone",
		"/etc/none":       "node: no /etc/none",
		"/etc/nfs.conf/x": "/etc/nfs.conf/x (lstat /etc/nfs.conf/x: not a directory)",
	} {
		err := Node{Root: hostfs.Root(root)}.Meets(Requirements{Paths: []string{path}})
		wantLack(t, err, report.MissingHostPath, says)
	}
}

func TestAllThatIsMissingIsToldAndTheFirstKindGivesTheReason(t *testing.T) {
	root, _ := equipped(t)
	all := Requirements{
		Commands: []string{"jq", "c1", "c2"}, Modules: []string{"m1", "nbd", "m2"}, Paths: []string{"/p1", "/etc", "/p2"},
	}
	node := Node{Root: hostfs.Root(root)}
	err := node.Meets(all)
	for _, says := range []string{"no command c1, c2 in", "; no module m1, m2 for", "; no /p1, /p2"} {
		wantLack(t, err, report.MissingHostCommand, says)
	}
	wantLack(t, node.Meets(Requirements{Modules: all.Modules, Paths: all.Paths}), report.MissingKernelModule, "no /p1, /p2")
	if !(Requirements{}).Empty() || all.Empty() || node.Meets(Requirements{}) != nil {
		t.Error("nothing is required, and yet something is")
	}
}

func wantLack(t *testing.T, err error, reason report.Reason, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("%v", err)
	case says != "" && (reasonOf(err) != reason || !strings.Contains(err.Error(), says)):
		t.Errorf("%v, want %s with %q", err, reason, says)
	}
}
