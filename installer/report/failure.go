package report

import (
	"errors"
	"fmt"
	"syscall"
)

// Failure is an error with a reason from the list and a message that a person can act on.
type Failure struct {
	Reason  Reason
	Message string
	Owner   string // DuplicateDriver: the FlexDriver that owns the place
}

func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Message }

// Failf makes a Failure.
func Failf(reason Reason, format string, args ...any) *Failure {
	return &Failure{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// FromHost names the reason of a failed system call on the node's file system; what says what was
// tried. A Failure passes unchanged.
func FromHost(err error, what string) error {
	var failure *Failure
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure):
		return failure
	case errors.Is(err, syscall.EROFS):
		return Failf(PluginDirReadOnly, "%s: %v", what, err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return Failf(HostAccessDenied,
			"%s: %v; on a node with SELinux or AppArmor look for the denial in the audit log and "+
				"set spec.podSecurity", what, err)
	}
	return Failf(PublishFailed, "%s: %v", what, err)
}

// AsFailure gives every error a reason; one without is a fault of this program.
func AsFailure(err error) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	return Failf(InternalError, "%v", err)
}
