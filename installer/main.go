// The node-side program of flexvolume-operator: one static file that runs inside any driver image,
// also one that holds nothing but the driver.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"flexvolume.io/installer/guard"
	"flexvolume.io/installer/install"
	"flexvolume.io/installer/remove"
	"flexvolume.io/installer/report"
	"flexvolume.io/installer/tools"
)

// version is set by the linker.
var version = "dev"

// Exit codes, by which the operator tells whose fault it is.
const (
	exitDone     = 0
	exitUsage    = 2 // operator and installer disagree
	exitFailed   = 3 // the driver's or the node's fault; the report's reason says which
	exitInternal = 4 // this program's fault
)

const help = `Installs a FlexVolume driver on the node it runs on and keeps it there.

Usage: installer COMMAND [FLAGS]

Commands:
  tools DEST   copy this program to DEST, for a container of another image to run
  install      prove a driver from this image and publish it in the kubelet's plugin directory
  guard        watch the published driver and repair it
  remove       take the driver away from this node, unless a volume needs it
  version      print the version

"installer COMMAND --help" lists a command's flags.
`

func main() {
	// Modes are what this program says, whatever umask the driver image's runtime gives.
	syscall.Umask(0o022)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, help)
		return exitUsage
	}
	command, rest := args[0], args[1:]
	switch command {
	case "help", "--help", "-h":
		fmt.Fprint(stdout, help)
		return exitDone
	case "version", "--version":
		fmt.Fprintf(stdout, "flexvolume-installer %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return exitDone
	case "tools":
		return runTools(rest, stdout, stderr)
	case "install":
		return runInstall(rest, stdout, stderr)
	case "guard":
		return runGuard(rest, stdout, stderr)
	case "remove":
		return runRemove(rest, stdout, stderr)
	}
	fmt.Fprintf(stderr, "installer: no command %q; it is one of tools, install, guard, remove, version\n", command)
	return exitUsage
}

func runTools(args []string, stdout, stderr io.Writer) int {
	if len(args) == 1 && (args[0] == "--help" || args[0] == "-h") {
		fmt.Fprintln(stdout, "Usage: installer tools DEST\n\nCopies this program to the file DEST, mode 0755.")
		return exitDone
	}
	if len(args) != 1 {
		fmt.Fprintf(stderr, "tools: want one argument, the file to make; got %d\n", len(args))
		return exitUsage
	}
	if err := tools.Copy(args[0]); err != nil {
		fmt.Fprintln(stderr, "tools:", err)
		return exitInternal
	}
	return exitDone
}

func runInstall(args []string, stdout, stderr io.Writer) int {
	flags, options := installFlags()
	if code, done := flags.parse(args, stdout, stderr); done {
		return code
	}
	since, err := tools.Since()
	if err != nil {
		return finish(internal(report.Install, err), flags.report, stderr)
	}
	options.Since = since
	ctx, stop := terminated()
	defer stop()
	return finish(install.Run(ctx, *options), flags.report, stderr)
}

func runGuard(args []string, stdout, stderr io.Writer) int {
	flags, options := guardFlags()
	if code, done := flags.parse(args, stdout, stderr); done {
		return code
	}
	if err := frugal(); err != nil {
		return finish(internal(report.Guard, err), flags.report, stderr)
	}
	options.Limits, options.Log = guard.DefaultLimits, stderr
	ctx, stop := terminated()
	defer stop()
	r := guard.Run(ctx, *options)
	if code := finish(r, flags.report, stderr); r.Reason == report.InternalError {
		return code
	}
	return exitDone // a guard that ends in order is restarted without delay
}

func runRemove(args []string, stdout, stderr io.Writer) int {
	flags, options := removeFlags()
	if code, done := flags.parse(args, stdout, stderr); done {
		return code
	}
	return finish(remove.Run(*options), flags.report, stderr)
}

// terminated ends with the signal by which a kubelet ends a container.
func terminated() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}

func internal(component string, err error) report.Report {
	r := report.Report{Component: component}
	r.Fail(report.AsFailure(err))
	return r
}

// finish writes the report where the kubelet reads it, says the same to people, and gives the
// exit code.
func finish(r report.Report, path string, stderr io.Writer) int {
	if err := r.Write(path); err != nil {
		fmt.Fprintf(stderr, "%s: the report cannot be written: %v\n", r.Component, err)
	}
	switch {
	case r.Result == report.Failed:
		fmt.Fprintf(stderr, "%s: %s: %s\n%s\n", r.Component, r.Reason, r.Message, report.Remedy(r.Reason))
	case r.Component == report.Guard && r.Result == report.WouldInstall:
		fmt.Fprintln(stderr, "guard: ends; there was nothing to guard")
	case r.Component == report.Guard:
		fmt.Fprintf(stderr, "guard: ends; repairs so far: %d\n", r.Repairs)
	case r.Component == report.Remove && r.Changed:
		fmt.Fprintln(stderr, strings.TrimSuffix("remove: removed "+r.Path+"; "+r.Message, "; "))
	case r.Component == report.Remove:
		fmt.Fprintf(stderr, "remove: nothing is at %s\n", r.Path)
	case r.Result == report.WouldInstall:
		fmt.Fprintf(stderr, "install: would install %s, sha256 %s\n", r.Path, r.SHA256)
	case r.Changed:
		fmt.Fprintf(stderr, "install: installed %s, sha256 %s\n", r.Path, r.SHA256)
	default:
		fmt.Fprintf(stderr, "install: %s already has this content, sha256 %s\n", r.Path, r.SHA256)
	}
	switch {
	case r.Result != report.Failed:
		return exitDone
	case r.Reason == report.InternalError:
		return exitInternal
	}
	return exitFailed
}
