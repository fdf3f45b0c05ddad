package install

import (
	"context"
	"runtime"

	"flexvolume.io/installer/preflight"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/stage"
	"flexvolume.io/installer/verify"
)

// prove finds out whether the node can run the driver and a kubelet would load it.
func (r *run) prove(ctx context.Context, staged *stage.Stage) error {
	node := preflight.Node{Root: r.root, Arch: runtime.GOARCH, Path: r.path, Partial: !r.Verify}
	if err := node.Check(staged.Driver()); err != nil {
		return err
	}
	if !r.Verify {
		return nil
	}
	if err := node.Meets(r.Requirements); err != nil {
		return err
	}
	init := verify.Init{Root: r.root, Driver: staged.HostDriver(), Path: r.path, Timeout: r.Timeout}
	verdict, err := init.Verify(ctx)
	if err != nil && r.Warn && verdict.Excusable {
		r.warn(verify.Unverified(report.AsFailure(err)))
		return nil
	}
	if err != nil {
		return err
	}
	r.report.Capabilities = verdict.Capabilities
	r.warn(verdict.Warnings()...)
	return nil
}

func (r *run) warn(more ...report.Warning) { r.report.Warnings = append(r.report.Warnings, more...) }
