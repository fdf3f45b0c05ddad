package nodeproc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/testkit"
)

// link in front of a file's content makes it a symbolic link.
const link = "-> "

func makeFiles(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for path, content := range files {
		target, isLink := strings.CutPrefix(content, link)
		if !isLink {
			testkit.Write(t, root+path, content)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, root+path); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	unknown  = Setting{}
	standard = Setting{DefaultPluginDir, "the default"}
)

func inFlag(dir string) Setting       { return Setting{dir, "--volume-plugin-dir"} }
func inFile(dir, path string) Setting { return Setting{dir, "volumePluginDir in " + path} }

const config = "/var/lib/kubelet/config.yaml"

const (
	withConfig  = "--config=" + config
	withDropIns = "--config-dir=/etc/kubelet.d"
)

var configOfA = map[string]string{config: "volumePluginDir: /a\n"}

// kubelets are command lines, the files of their node, and where they look. What is expected of
// drop-ins and of empty and relative values was seen of a kubelet 1.36.3.
var kubelets = map[string]struct {
	args  []string
	files map[string]string
	want  Setting
}{
	"no flags":                        {nil, nil, standard},
	"other flags":                     {[]string{"--v=2", "--node-ip", "10.0.0.1"}, nil, standard},
	"flag with =":                     {[]string{"--volume-plugin-dir=/x"}, nil, inFlag("/x")},
	"flag and argument":               {[]string{"--volume-plugin-dir", "/x"}, nil, inFlag("/x")},
	"flag with underscores":           {[]string{"--volume_plugin_dir=/x"}, nil, inFlag("/x")},
	"flag with some underscores":      {[]string{"--volume_plugin-dir", "/x"}, nil, inFlag("/x")},
	"flag twice":                      {[]string{"--volume-plugin-dir=/x", "--volume_plugin_dir", "/y"}, nil, inFlag("/y")},
	"flag with a trailing slash":      {[]string{"--volume-plugin-dir=/x//y/./"}, nil, inFlag("/x/y")},
	"flag with = inside":              {[]string{"--volume-plugin-dir=/x=y"}, nil, inFlag("/x=y")},
	"flag after the end of flags":     {[]string{"--", "--volume-plugin-dir=/x"}, nil, standard},
	"flag whose value is dashes":      {[]string{"--volume-plugin-dir", "--", "--volume-plugin-dir=/x"}, nil, inFlag("/x")},
	"one dash":                        {[]string{"-volume-plugin-dir=/x"}, nil, standard},
	"a longer flag":                   {[]string{"--volume-plugin-dirs=/x"}, nil, standard},
	"no dashes":                       {[]string{"volume-plugin-dir=/x"}, nil, standard},
	"relative flag":                   {[]string{"--volume-plugin-dir=x"}, nil, unknown},
	"empty flag":                      {[]string{"--volume-plugin-dir="}, nil, unknown},
	"flag without a value":            {[]string{"--volume-plugin-dir"}, nil, unknown},
	"flag with a line end":            {[]string{"--volume-plugin-dir=/x\ny"}, nil, unknown},
	"flag that is not UTF-8":          {[]string{"--volume-plugin-dir=/x\xff"}, nil, unknown},
	"file":                            {[]string{withConfig}, configOfA, inFile("/a", config)},
	"file as an argument":             {[]string{"--config", config, "--v=2"}, configOfA, inFile("/a", config)},
	"file with a trailing slash":      {[]string{withConfig}, map[string]string{config: "volumePluginDir: /a/"}, inFile("/a", config)},
	"file, relative value":            {[]string{withConfig}, map[string]string{config: "volumePluginDir: exec/"}, inFile("/var/lib/kubelet/exec", config)},
	"file, relative value upwards":    {[]string{withConfig}, map[string]string{config: "volumePluginDir: ../exec"}, inFile("/var/lib/exec", config)},
	"file, empty value":               {[]string{withConfig}, map[string]string{config: "volumePluginDir: ''"}, standard},
	"file without the key":            {[]string{withConfig}, map[string]string{config: "maxPods: 1"}, standard},
	"file of JSON":                    {[]string{withConfig}, map[string]string{config: `{"volumePluginDir": "/a"}`}, inFile("/a", config)},
	"file that is not clear":          {[]string{withConfig}, map[string]string{config: "volumePluginDir: &a /a"}, unknown},
	"file that is empty":              {[]string{withConfig}, map[string]string{config: ""}, unknown},
	"file that is too large":          {[]string{withConfig}, map[string]string{config: "volumePluginDir: /a\n" + strings.Repeat("#", maxConfig)}, unknown},
	"file that is missing":            {[]string{withConfig}, nil, unknown},
	"file that is a directory":        {[]string{withConfig}, map[string]string{config + "/file": ""}, unknown},
	"file that is a link of the node": {[]string{withConfig}, map[string]string{config: link + "/opt/k.yaml", "/opt/k.yaml": "volumePluginDir: exec"}, inFile("/var/lib/kubelet/exec", config)},
	"file that is a dangling link":    {[]string{withConfig}, map[string]string{config: link + "/nowhere"}, unknown},
	"file in a linked directory":      {[]string{withConfig}, map[string]string{"/var/lib/kubelet": link + "../../data", "/data/config.yaml": "volumePluginDir: /a"}, inFile("/a", config)},
	"file by a relative path":         {[]string{"--config=config.yaml"}, map[string]string{"/config.yaml": "volumePluginDir: /a"}, unknown},
	"file twice":                      {[]string{"--config=/gone", withConfig}, configOfA, inFile("/a", config)},
	"no file":                         {[]string{"--config="}, nil, standard},
	"flag beats file":                 {[]string{withConfig, "--volume-plugin-dir=/x"}, configOfA, inFlag("/x")},
	"flag beats missing file":         {[]string{"--volume-plugin-dir=/x", withConfig, withDropIns}, nil, inFlag("/x")},
	"empty flag beats file":           {[]string{withConfig, "--volume-plugin-dir="}, configOfA, unknown},
	"drop-in":                         {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/a.conf": "volumePluginDir: /d"}, inFile("/d", "/etc/kubelet.d/a.conf")},
	"drop-in beats file":              {[]string{withConfig, withDropIns}, map[string]string{config: "volumePluginDir: /a", "/etc/kubelet.d/a.conf": "volumePluginDir: /d/"}, inFile("/d", "/etc/kubelet.d/a.conf")},
	"drop-in beats file nobody reads": {[]string{withConfig, withDropIns}, map[string]string{"/etc/kubelet.d/a.conf": "volumePluginDir: /d"}, inFile("/d", "/etc/kubelet.d/a.conf")},
	"drop-in without the key":         {[]string{withConfig, withDropIns}, map[string]string{config: "volumePluginDir: exec", "/etc/kubelet.d/a.conf": "maxPods: 1"}, inFile("/var/lib/kubelet/exec", config)},
	"drop-in, empty value":            {[]string{withConfig, withDropIns}, map[string]string{config: "volumePluginDir: /a", "/etc/kubelet.d/a.conf": `{"volumePluginDir": ""}`}, standard},
	"drop-in, null":                   {[]string{withConfig, withDropIns}, map[string]string{config: "volumePluginDir: /a", "/etc/kubelet.d/a.conf": "volumePluginDir:"}, standard},
	"drop-in, relative value":         {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/a.conf": "volumePluginDir: exec"}, unknown},
	"drop-in that is not clear":       {[]string{withConfig, withDropIns}, map[string]string{config: "volumePluginDir: /a", "/etc/kubelet.d/a.conf": "a: *b"}, unknown},
	"drop-in by a link":               {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/a.conf": link + "/opt/a", "/opt/a": "volumePluginDir: /d"}, inFile("/d", "/etc/kubelet.d/a.conf")},
	"drop-in by a dangling link":      {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/a.conf": link + "/opt/a"}, unknown},
	"drop-ins, the last one wins":     {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/10.conf": "volumePluginDir: /10", "/etc/kubelet.d/9.conf": "volumePluginDir: /9"}, inFile("/9", "/etc/kubelet.d/9.conf")},
	"drop-ins, the last one is clear": {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/1.conf": "a: *b", "/etc/kubelet.d/2.conf": "volumePluginDir: /2"}, inFile("/2", "/etc/kubelet.d/2.conf")},
	"drop-ins of other names":         {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/a.yaml": "volumePluginDir: /d", "/etc/kubelet.d/a.conf.bak": "volumePluginDir: /d", "/etc/kubelet.d/conf": "volumePluginDir: /d"}, standard},
	"drop-in of no name":              {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/.conf": "volumePluginDir: /d"}, inFile("/d", "/etc/kubelet.d/.conf")},
	"drop-ins below":                  {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/1.conf": "volumePluginDir: /1", "/etc/kubelet.d/2/0.conf": "volumePluginDir: /20"}, inFile("/20", "/etc/kubelet.d/2/0.conf")},
	"drop-ins below come in turn":     {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/3.conf": "volumePluginDir: /3", "/etc/kubelet.d/2.conf/4.conf": "volumePluginDir: /24"}, inFile("/3", "/etc/kubelet.d/3.conf")},
	"drop-ins below a link":           {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/a": link + "/opt", "/opt/a.conf": "volumePluginDir: /d"}, standard},
	"drop-in that is a linked folder": {[]string{withDropIns}, map[string]string{"/etc/kubelet.d/a.conf": link + "/opt", "/opt/a.conf": "volumePluginDir: /d"}, unknown},
	"drop-in folder with a slash":     {[]string{withDropIns + "/"}, map[string]string{"/etc/kubelet.d/a.conf": "volumePluginDir: /d"}, inFile("/d", "/etc/kubelet.d/a.conf")},
	"drop-in folder in a linked one":  {[]string{withDropIns}, map[string]string{"/etc": link + "/opt", "/opt/kubelet.d/a.conf": "volumePluginDir: /d"}, inFile("/d", "/etc/kubelet.d/a.conf")},
	"drop-in folder that is a link":   {[]string{withDropIns}, map[string]string{"/etc/kubelet.d": link + "/opt", "/opt/a.conf": "volumePluginDir: /d"}, unknown},
	"drop-in folder that is missing":  {[]string{withDropIns}, nil, unknown},
	"drop-in folder, relative":        {[]string{"--config-dir=etc"}, map[string]string{"/etc/a.conf": "volumePluginDir: /d"}, unknown},
	"drop-in folder with nothing":     {[]string{withConfig, withDropIns}, map[string]string{config: "volumePluginDir: /a", "/etc/kubelet.d/README": "x"}, inFile("/a", config)},
	"drop-in folder with underscores": {[]string{"--config_dir", "/etc/kubelet.d"}, map[string]string{"/etc/kubelet.d/a.conf": "volumePluginDir: /d"}, inFile("/d", "/etc/kubelet.d/a.conf")},
	"no drop-in folder":               {[]string{withConfig, "--config-dir="}, configOfA, inFile("/a", config)},
}

func TestTheDirectoryIsWorkedOutAsTheKubeletDoes(t *testing.T) {
	for name, test := range kubelets {
		root := t.TempDir()
		makeFiles(t, root, test.files)
		if got := kubeletSetting(hostfs.Root(root), test.args); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestAConfigurationThatIsANamedPipeIsNotWaitedFor(t *testing.T) {
	root := t.TempDir()
	if err := makePipe(root + "/pipe"); err != nil {
		t.Fatal(err)
	}
	if got := kubeletSetting(hostfs.Root(root), []string{"--config=/pipe"}); got != unknown {
		t.Errorf("%+v", got)
	}
}

func TestTheControllerManagersDirectoryIsInItsFlag(t *testing.T) {
	const name = "--flex-volume-plugin-dir"
	for args, want := range map[string]Setting{
		"":                                       standard,
		"--flex-volume-plugin-dir=/y/":           {"/y", name},
		"--flex-volume-plugin-dir /y":            {"/y", name},
		"--flex_volume_plugin_dir=/y":            {"/y", name},
		name + "=/x " + name + "=/y":             {"/y", name},
		"--volume-plugin-dir=/y --config=/gone":  standard,
		"-- --flex-volume-plugin-dir=/y":         standard,
		"--flex-volume-plugin-dir=":              unknown,
		"--flex-volume-plugin-dir=y":             unknown,
		"--kubeconfig --flex-volume-plugin-dirs": standard,
	} {
		if got := managerSetting(strings.Fields(args)); got != want {
			t.Errorf("%q: %+v, want %+v", args, got, want)
		}
	}
}
