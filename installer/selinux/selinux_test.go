package selinux

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

func refused(err error) *report.Failure {
	return report.AsFailure(report.FromHost(&os.PathError{Op: "open", Path: "/x", Err: err}, "trying"))
}

func TestOnlyARefusalOnAnEnforcingNodeIsSELinuxs(t *testing.T) {
	for name, test := range map[string]struct {
		enforce string // what the node's file holds, "-" for no such file
		err     error
		want    report.Reason
	}{
		"enforcing":                {"1", syscall.EACCES, report.SELinuxDenied},
		"enforcing, not permitted": {"1\n", syscall.EPERM, report.SELinuxDenied},
		"permissive":               {"0", syscall.EACCES, report.PermissionDenied},
		"no SELinux":               {"-", syscall.EACCES, report.PermissionDenied},
		"another error":            {"1", syscall.ENOSPC, report.NoSpace},
	} {
		root := t.TempDir()
		if test.enforce != "-" {
			testkit.Write(t, root+enforce, test.enforce)
		}
		got := Name(refused(test.err), hostfs.Root(root))
		if got.Reason != test.want || !strings.HasPrefix(got.Message, "trying: open /x: ") {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}

func TestTheLabelDecidesAndIsTold(t *testing.T) {
	confined := "system_u:system_r:container_t:s0:c1,c2"
	for label, want := range map[string]report.Reason{
		confined:                        report.SELinuxDenied,
		"":                              report.SELinuxDenied,
		"system_u:system_r:spc_t:s0":    report.PermissionDenied,
		"system_u:system_r:spc_t:s0:c1": report.PermissionDenied,
	} {
		if got := named(refused(syscall.EACCES), label); got.Reason != want {
			t.Errorf("%q: %v, want %s", label, got, want)
		}
	}
	if got := named(refused(syscall.EACCES), confined); !strings.HasSuffix(got.Message, "this process is "+confined) {
		t.Errorf("%s", got.Message)
	}
}

func TestAFailureWithoutACauseStaysWhatItIs(t *testing.T) {
	root := t.TempDir()
	testkit.Write(t, root+enforce, "1")
	lacking := report.Failf(report.PermissionDenied, "no SYS_CHROOT")
	if got := Name(lacking, hostfs.Root(root)); got != lacking {
		t.Errorf("%v", got)
	}
	if got := Name(report.AsFailure(errors.New("x")), hostfs.Root(root)); got.Reason != report.InternalError {
		t.Errorf("%v", got)
	}
}
