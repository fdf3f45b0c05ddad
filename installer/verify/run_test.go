package verify

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

func TestMain(m *testing.M) {
	code := testkit.Isolate(m)
	testkit.RemoveTemplate()
	os.Exit(code)
}

func verify(t *testing.T, ctx context.Context, driver string, timeout time.Duration) (Verdict, error) {
	t.Helper()
	root := testkit.NewHost(t)
	testkit.Write(t, root+"/driver", driver)
	return Init{Root: hostfs.Root(root), Driver: "/driver", Timeout: timeout}.Verify(ctx)
}

// reply makes a driver that answers Failure with a message, which comes back in the verdict.
func reply(message string) string {
	return "#!/bin/sh\nprintf '{\"status\":\"Failure\",\"message\":\"%s\"}' \"" + message + "\"\n"
}

func TestInitRunsAsTheContractSays(t *testing.T) {
	t.Setenv("SECRET", "of the driver image")
	for message, want := range map[string]string{
		"$0 $# $1":                      "/driver 1 init",
		"$PWD $(cat)|":                  "/ |",
		"$PATH":                         "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"$SECRET$HOME$FLEXVOLUME_TEST|": `"|"`,
		"$(echo /*)":                    "/bin /dev /driver /etc",
		"$(echo to stderr >&2)x":        "to stderr",
	} {
		_, err := verify(t, t.Context(), reply(message), time.Minute)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", message, err, want)
		}
	}
}

func TestAnAnswerLargerThanAPipeIsReadWhole(t *testing.T) {
	padding := strings.Repeat("x", 300_000)
	driver := "#!/bin/sh\ncat <<'END'\n{\"status\":\"Success\",\"message\":\"" + padding + "\"}\nEND\n"
	if got, err := verify(t, t.Context(), driver, time.Minute); err != nil || *got.Capabilities != defaults {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestABackgroundProcessThatLetsGoOfTheOutputIsNoHang(t *testing.T) {
	driver := "#!/bin/sh\nsleep 1000 >/dev/null 2>&1 &\n" + testkit.GoodReply + "\n"
	if _, err := verify(t, t.Context(), driver, time.Minute); err != nil {
		t.Error(err)
	}
}

func TestNothingThatInitStartedOutlivesIt(t *testing.T) {
	root := testkit.NewHost(t)
	testkit.Write(t, root+"/driver", "#!/bin/sh\nsleep 1000 >/dev/null 2>&1 &\necho $! > /tmp/pid\n"+testkit.GoodReply+"\n")
	if _, err := (Init{Root: hostfs.Root(root), Driver: "/driver", Timeout: time.Minute}).Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	stat := "/proc/" + strings.TrimSpace(testkit.Read(t, root+"/tmp/pid")) + "/stat"
	testkit.Until(t, "the background process is dead", func() bool {
		data, err := os.ReadFile(stat)
		return err != nil || strings.Contains(string(data), ") Z ")
	})
}

func TestInitEndsWithThePod(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := verify(t, ctx, "#!/bin/sh\nsleep 1000\n", time.Minute)
	if err == nil || report.AsFailure(err).Reason != report.InternalError || !strings.Contains(err.Error(), "ended") {
		t.Errorf("%v", err)
	}
}

func TestADriverThatCannotBeExecutedIsNamed(t *testing.T) {
	root := testkit.NewHost(t)
	path := testkit.Write(t, root+"/driver", "#!/bin/sh\n")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Init{Root: hostfs.Root(root), Driver: "/driver", Timeout: time.Minute}.Verify(t.Context())
	if err == nil || report.AsFailure(err).Reason != report.InitNotExecutable || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("%v", err)
	}
	_, err = Init{Root: hostfs.Root(root), Driver: "/none", Timeout: time.Minute}.Verify(t.Context())
	if err == nil || report.AsFailure(err).Reason != report.MissingInterpreter {
		t.Errorf("%v", err)
	}
}
