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
	Cause   error  // what the kernel answered, where that is what failed
}

func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Message }

func (f *Failure) Unwrap() error { return f.Cause }

// Failf makes a Failure.
func Failf(reason Reason, format string, args ...any) *Failure {
	return &Failure{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// answers of the kernel to a system call on the node's file system that have a reason of their own.
var answers = [...]struct {
	errno  syscall.Errno
	reason Reason
}{
	{syscall.EROFS, PluginDirReadOnly},
	{syscall.ENOSPC, NoSpace},
	{syscall.EDQUOT, NoSpace},
	{syscall.EACCES, PermissionDenied},
	{syscall.EPERM, PermissionDenied},
}

// advice for reasons whose cause the kernel does not tell.
var advice = map[Reason]string{
	PermissionDenied: "; look for a denial in the node's audit log, and at spec.podSecurity",
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
	}
	reason := reasonOf(err, PublishFailed)
	failure = Failf(reason, "%s: %v%s", what, err, advice[reason])
	failure.Cause = err
	return failure
}

func reasonOf(err error, otherwise Reason) Reason {
	for _, answer := range answers {
		if errors.Is(err, answer.errno) {
			return answer.reason
		}
	}
	return otherwise
}

// AsFailure gives every error a reason. One without is a fault of this program, unless a disk is
// full: the pod's own volumes lie on the node's disk, too.
func AsFailure(err error) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return failure
	}
	if reasonOf(err, InternalError) == NoSpace {
		return Failf(NoSpace, "%v", err)
	}
	return Failf(InternalError, "%v", err)
}

// Safely turns a panic into an error: whatever happens has to reach the operator.
func Safely(do func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v", fault)
		}
	}()
	return do()
}
