package record

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestARecordIsReadBackWhole(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)
	r := Record{
		V: Version, FlexDriver: "nfs", UID: "u", Revision: "r1", SHA256: "s", ExtraFiles: []File{{"jq", "0755", "s2"}},
		InstallID: "pod", BootID: "b", InstalledAt: at, VerifiedAt: at.Add(time.Second),
	}
	text := string(r.Encode())
	want := `{"v":1,"flexDriver":"nfs","uid":"u","revision":"r1","sha256":"s","extraFiles":[{"name":"jq","mode":"0755","sha256":"s2"}],` +
		`"installID":"pod",` + `"bootID":"b","installedAt":"2026-03-04T05:06:07.123456Z","verifiedAt":"2026-03-04T05:06:08.123456Z"}` + "\n"
	if text != want {
		t.Errorf("%s", text)
	}
	back, err := Decode([]byte(text))
	if err != nil || !back.Equal(r) || !back.InstalledAt.Equal(at) {
		t.Errorf("%+v, %v", back, err)
	}
	r.Revision = "r2"
	if back.Equal(r) {
		t.Error("different records are equal")
	}
}

func TestRecordsThatSayNothingAreUnreadable(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"empty": "", "cut": `{"v":1,"flexDriver":"nfs"`, "other": `{"v":1}`, "no id": `{"v":1,"flexDriver":"nfs"}`,
		"list": "[]", "huge": `{"v":1,"flexDriver":"nfs","installID":"` + strings.Repeat("x", maxBytes) + `"}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Read(path); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if err := os.Symlink("empty", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"link": ErrUnreadable, ".": ErrUnreadable, "none": os.ErrNotExist} {
		if _, err := Read(filepath.Join(dir, name)); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARecordOfANewerVersionStillTellsTheOwner(t *testing.T) {
	r, err := Decode([]byte(`{"v":2,"flexDriver":"nfs","installID":"pod","colour":"red"}`))
	if err != nil || r.FlexDriver != "nfs" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatIsSupersededIsLeavingUntilItIsGone(t *testing.T) {
	jq, conf1, conf2, old := File{"jq", "0755", "a"}, File{"conf", "0644", "b"}, File{"conf", "0644", "c"}, File{"old", "0644", "d"}
	before := Record{ExtraFiles: []File{jq, conf1}, Leaving: []File{old, old}}
	after := Record{ExtraFiles: []File{{"jq", "0700", "a"}, conf2}}
	after.Supersede(nil)
	after.Supersede(&before)
	if !slices.Equal(after.Leaving, []File{conf1, old}) || !slices.Equal(after.Names(), []string{"jq", "conf", "old"}) {
		t.Errorf("%+v, %v", after, after.Names())
	}
}

func TestFilesThatLeadOutOfTheDirectoryAreNotRead(t *testing.T) {
	r, err := Decode([]byte(`{"flexDriver":"nfs","installID":"pod","extraFiles":[{"name":"../x"},{"name":".x"},{"name":"jq","mode":"0755"}],"leaving":[{"name":"/x"},{"name":""},{"name":".."}]}`))
	if err != nil || len(r.ExtraFiles) != 1 || len(r.Leaving) != 0 || r.ExtraFiles[0].Perm() != 0o755 || (File{Mode: "x"}).Perm() != 0o600 {
		t.Errorf("%+v, %v", r, err)
	}
}
