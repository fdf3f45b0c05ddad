package mountinfo

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// escape writes a path as the kernel does.
func escape(path string) string {
	var escaped strings.Builder
	for _, b := range []byte(path) {
		if strings.IndexByte(" \t\n\\#", b) >= 0 {
			fmt.Fprintf(&escaped, `\%03o`, b)
			continue
		}
		escaped.WriteByte(b)
	}
	return escaped.String()
}

func line(point string) string {
	return "36 35 98:0 /root " + escape(point) + " rw,noatime shared:1 - ext4 /dev/sda rw\n"
}

func TestPointsAreReadAsTheKernelWritesThem(t *testing.T) {
	for written, want := range map[string]string{
		"/":                           "/",
		"/a/b":                        "/a/b",
		`/with\040space`:              "/with space",
		`/a\011b\012c`:                "/a\tb\nc",
		`/back\134slash`:              `/back\slash`,
		`/twice\134040`:               `/twice\040`,
		`/hash\043`:                   "/hash#",
		`/all\377`:                    "/all\xff",
		`/none\400`:                   `/none\400`,
		`/none\04`:                    `/none\04`,
		`/none\08x`:                   `/none\08x`,
		`/end\`:                       `/end\`,
		"/no-break\u00a0space and \v": "/no-break\u00a0space",
	} {
		got, err := Points([]byte("36 35 98:0 / " + written + " rw - ext4 x rw\n"))
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, %v, want %q", written, got, err, want)
		}
	}
}

func TestALineWithoutAPointIsAnError(t *testing.T) {
	for _, wrong := range []string{"\n", "36 35 98:0 /\n", "36 35 98:0 / relative rw\n", "x"} {
		if got, err := Points([]byte(line("/good") + wrong)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %q, %v", wrong, got, err)
		}
	}
	if got, err := Points(nil); err != nil || got != nil {
		t.Errorf("an empty table: %q, %v", got, err)
	}
}

func TestWhichMountsFollow(t *testing.T) {
	const table = "36 35 98:0 / /free rw shared:1 - ext4 x rw\n" +
		"37 35 98:0 / /slave rw,noatime shared:2 master:1 - ext4 x rw\n" +
		"38 35 98:0 / /over\\040it rw master:1 - ext4 x rw\n39 35 98:0 / /over\\040it rw - ext4 x rw\n" +
		"40 35 98:0 / /named rw - ext4 master:1 rw\nshort\n"
	for point, want := range map[string]bool{"/free": false, "/slave": true, "/over it": false, "/named": false, "/none": false} {
		if got := Follows([]byte(table), point); got != want {
			t.Errorf("%s: %t", point, got)
		}
	}
}

func TestWhichMountsAreSeparate(t *testing.T) {
	const path = "/usr/libexec/volume plugins/exec"
	for root, want := range map[string]bool{
		"/":                                      true,
		"/usr/libexec/volume\\040plugins/exec":   false,
		"/libexec/volume\\040plugins/exec":       false,
		"/@/usr/libexec/volume\\040plugins/exec": false,
		"/data/exec":                             true,
		"/plugins":                               true,
	} {
		table := "36 35 98:0 / /elsewhere rw - ext4 x rw\n37 35 98:0 " + root + " /in rw master:1 - ext4 x rw\n"
		if got := Separate([]byte(table), "/in", path); got != want {
			t.Errorf("%s: %t", root, got)
		}
	}
}

func TestTheTableOfThisProcess(t *testing.T) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Points(table); err != nil || !slices.Contains(got, "/proc") {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzMountinfo(f *testing.F) {
	f.Add([]byte(line("/a b")+line(`/a\040b`)), "/a")
	f.Add([]byte("36 35 98:0 / /a"), "/\\040\n#")
	f.Add([]byte{}, "/\xff\x00 \u00a0")
	f.Fuzz(func(t *testing.T, table []byte, path string) {
		if points, err := Points(table); err == nil && len(points) > strings.Count(string(table), "\n")+1 {
			t.Errorf("%d points in %q", len(points), table)
		}
		Follows(table, path)
		Separate(table, path, path)
		path = "/" + path
		got, err := Points([]byte(line(path) + line("/next")))
		if err != nil || !slices.Equal(got, []string{path, "/next"}) {
			t.Errorf("%q was read as %q, %v", path, got, err)
		}
	})
}
