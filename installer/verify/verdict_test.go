package verify

import (
	"strings"
	"testing"

	"flexvolume.io/installer/report"
)

var defaults = report.Capabilities{Attach: true, FSGroup: true, SELinuxRelabel: true, RequiresFSResize: true}

func TestGoodAnswersGiveTheKubeletsCapabilities(t *testing.T) {
	for answer, change := range map[string]func(*report.Capabilities){
		`{"status":"Success"}`:                                               func(*report.Capabilities) {},
		`{"status":"Success","capabilities":{}}`:                             func(*report.Capabilities) {},
		" \n{\"STATUS\":\"Success\"}\r\n\t":                                  func(*report.Capabilities) {},
		`{"status":"Success","unknown":[1],"message":"x","volumeNewSize":1}`: func(*report.Capabilities) {},
		`{"status":"Failure","status":"Success"}`:                            func(*report.Capabilities) {},
		`{"status":"Success","capabilities":{"attach":false}}`:               func(c *report.Capabilities) { c.Attach = false },
		`{"status":"Success","Capabilities":{"ATTACH":false}}`:               func(c *report.Capabilities) { c.Attach = false },
		`{"status":"Success","capabilities":{"attach":null}}`:                func(*report.Capabilities) {},
		`{"status":"Success","capabilities":{"fsGroup":false,"selinuxRelabel":false,"supportsMetrics":true,"requiresFSResize":false,"x":1}}`: func(c *report.Capabilities) {
			*c = report.Capabilities{Attach: true, SupportsMetrics: true}
		},
		// A null that is followed by an object makes one without the defaults, in a kubelet too.
		`{"status":"Success","capabilities":null,"capabilities":{"fsGroup":true}}`: func(c *report.Capabilities) {
			*c = report.Capabilities{FSGroup: true}
		},
	} {
		want := defaults
		change(&want)
		got, err := Judge([]byte(answer), "")
		if err != nil || *got != want {
			t.Errorf("%s: %+v, %v, want %+v", answer, got, err, want)
		}
	}
}

func TestBadAnswersGetTheirReason(t *testing.T) {
	for _, test := range []struct {
		answer, exit string
		reason       report.Reason
		says         string
	}{
		{"", "", report.InitInvalidOutput, "printed nothing; a kubelet"},
		{"", "signal: killed", report.InitInvalidOutput, "printed nothing and ended with signal: killed"},
		{" \n", "", report.InitInvalidOutput, "unexpected end"},
		{"usage: driver", "exit status 2", report.InitInvalidOutput, "ended with exit status 2"},
		{`starting` + "\n" + `{"status":"Success"}`, "", report.InitInvalidOutput, `starting\n`},
		{`{"status":"Success"} done`, "", report.InitInvalidOutput, "after top-level value"},
		{`{"status":"Success"}{"status":"Success"}`, "", report.InitInvalidOutput, "after top-level value"},
		{`{"status":"Success"`, "", report.InitInvalidOutput, "unexpected end"},
		{`-ne {"status":"Success"}`, "", report.InitInvalidOutput, "-ne"},
		{"{\"status\":\"Success\"}\ndone", "", report.InitInvalidOutput, `at byte 21 comes "done" in "{`},
		{`{"status":"Succ`, "", report.InitInvalidOutput, `it ended after byte 15: "{`},
		{`{"status":tru`, "", report.InitInvalidOutput, `it ended after byte 13: "{`},
		{`{"status":trux`, "", report.InitInvalidOutput, `at byte 13 comes "x" in "{`},
		{"\xef\xbb\xbf{}", "", report.InitInvalidOutput, `it printed "\ufeff{}"`},
		{"{} " + strings.Repeat("y", 300), "", report.InitInvalidOutput, `at byte 3 comes "` + strings.Repeat("y", 20) + `"... in "{} y`},
		{`[]`, "", report.InitInvalidOutput, "array for all; a kubelet expects an object"},
		{`{"status":1}`, "", report.InitInvalidOutput, "number for status; a kubelet expects a string"},
		{`{"attached":"yes"}`, "", report.InitInvalidOutput, "string for attached; a kubelet expects true or false"},
		{`{"volumeNewSize":1.5}`, "", report.InitInvalidOutput, "number 1.5 for volumeNewSize; a kubelet expects a whole number"},
		{`"Success"`, "", report.InitInvalidOutput, "string"},
		{`{"status":true}`, "", report.InitInvalidOutput, "bool"},
		{`{"status":"Success","attached":"yes"}`, "", report.InitInvalidOutput, "attached"},
		{`{"status":"Success","volumeNewSize":"1Gi"}`, "", report.InitInvalidOutput, "volumeNewSize"},
		{`null`, "", report.InitFailed, `status ""`},
		{`{}`, "", report.InitFailed, `status ""`},
		{`{"status":""}`, "", report.InitFailed, `status ""`},
		{`{"status":"Failure","message":"no disk"}`, "", report.InitFailed, `"no disk"`},
		{`{"status":"Failure","message":"no disk"}`, "exit status 1", report.InitFailed, "exit status 1"},
		{`{"status":"Failure","capabilities":null}`, "", report.InitFailed, "Failure"},
		{`{"status":"success"}`, "", report.InitFailed, `spelt "Success"`},
		{`{"status":"SUCCESS "}`, "", report.InitFailed, `"SUCCESS "`},
		{`{"status":"Not supported"}`, "", report.InitNotSupported, "Not supported"},
		{`{"status":"Not supported"}`, "exit status 1", report.InitNotSupported, "Not supported"},
		{`{"status":"Not Supported"}`, "", report.InitFailed, `"Not Supported"`},
		{`{"status":"Success"}`, "exit status 1", report.InitFailed, "Success but ended with exit status 1"},
		{`{"status":"Success","capabilities":null}`, "", report.InitWouldCrashKubelet, "crash"},
		{`{"status":"Success","Capabilities":null}`, "", report.InitWouldCrashKubelet, "crash"},
		{`{"status":"Success","capabilities":{},"capabilities":null}`, "", report.InitWouldCrashKubelet, "crash"},
		{`{"status":"Success","capabilities":[]}`, "", report.InitInvalidOutput, "array for capabilities"},
		{`{"status":"Success","capabilities":"none"}`, "", report.InitInvalidOutput, "string for capabilities"},
		{`{"status":"Success","capabilities":false}`, "", report.InitInvalidOutput, "bool for capabilities"},
		{`{"status":"Success","capabilities":{"attach":"false"}}`, "", report.InitInvalidOutput, "string for capabilities.attach"},
		{`{"status":"Success","capabilities":{"fsGroup":0}}`, "", report.InitInvalidOutput, "number for capabilities.fsGroup"},
	} {
		_, err := Judge([]byte(test.answer), test.exit)
		if err == nil {
			t.Errorf("%q passed", test.answer)
			continue
		}
		got := report.AsFailure(err)
		if got.Reason != test.reason || !strings.Contains(got.Message, test.says) {
			t.Errorf("%q %q: %v, want %s with %q", test.answer, test.exit, got, test.reason, test.says)
		}
	}
}

func TestAttachIsSaidOrNot(t *testing.T) {
	for answer, want := range map[string]bool{
		`{"capabilities":{"attach":true}}`: true, `{"capabilities":{"Attach":false}}`: true,
		`{"capabilities":{"attach":null}}`: false, `{"capabilities":{"fsGroup":true}}`: false,
		`{"capabilities":{}}`: false, `{"capabilities":null}`: false, `{}`: false, `x`: false,
	} {
		if got := saysAttach([]byte(answer)); got != want {
			t.Errorf("%s: %t", answer, got)
		}
	}
}

func TestWhatMayBeExcused(t *testing.T) {
	for _, test := range []struct {
		printed, exit string
		oom, want     bool
	}{
		{`{"status":"Success"}`, "", false, false}, // there is nothing to excuse
		{`{"status":"Failure"}`, "", false, true},
		{`{"status":"Failure"}`, "", true, true},
		{`{"status":"Success"}`, "exit status 3", false, true},
		{`{"status":"Success","capabilities":{}}`, "exit status 3", false, true},
		{"", "signal: killed", true, true},
		{"", "exit status 1", false, true},
		{"sh: permission denied\n" + `{"status":"Success","capabilities":{"attach":false}}`, "", false, true},
		{`{"status":"Failure","capabilities":null}`, "", false, false},
		{`{"status":"Failure","\u0063apabilities":null}`, "", true, false},
		{`{"status":"Success","Capabilities":null}`, "exit status 3", false, false},
		{"oops " + `{"status":"Success", "Capabilities" :` + "\n" + ` null }`, "", false, false},
		{`{"status":"Success","capabilities":null}`, "", false, false},
		{`{"status":"Success","capabilities":[]}`, "", false, false},
		{`{"status":"Not supported"}`, "", false, false},
		{`{"status":"Not supported"}`, "", true, false},
		{`{"status":"Success","capabilities":null}`, "", true, false},
		{`{"status":"Success","capabilities":[]}`, "", true, false},
	} {
		got, err := verdict([]byte(test.printed), test.exit, test.oom, 0)
		if got.Excusable != test.want {
			t.Errorf("%s %s: %v, excusable %t", test.printed, test.exit, err, got.Excusable)
		}
	}
}

func TestOutputIsQuotedWithItsFirst200Bytes(t *testing.T) {
	long := strings.Repeat("\x1b", 150) + strings.Repeat("a", 100)
	got := Quote([]byte(long))
	if !strings.HasSuffix(got, strings.Repeat("a", 50)+`"...`) || strings.Contains(got, "\x1b") {
		t.Errorf("%s", got)
	}
}
