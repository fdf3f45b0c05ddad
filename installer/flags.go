package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"flexvolume.io/installer/guard"
	"flexvolume.io/installer/install"
	"flexvolume.io/installer/preflight"
	"flexvolume.io/installer/remove"
)

// flagSet is a command's flags with the checks that the flag package does not know.
type flagSet struct {
	*flag.FlagSet
	summary  string
	required []string
	pardoned *bool // nothing is required, and nothing looked at, when it is true
	checks   []func() error
	report   string
}

func newFlags(name, summary string) *flagSet {
	f := &flagSet{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), summary: summary}
	f.SetOutput(io.Discard)
	f.StringVar(&f.report, "report", "/dev/termination-log", "`file` for the report, which the kubelet hands to the API server")
	return f
}

func installFlags() (*flagSet, *install.Options) {
	o := &install.Options{}
	f := newFlags("install", "Proves a driver from this image on the node and publishes it in the kubelet's plugin directory.")
	f.place(&o.PluginDir, &o.Vendor, &o.Driver)
	f.installID(&o.InstallID)
	f.needPath(&o.Source, "source", "`file` of the driver in this image")
	f.content(o)
	f.adoption(o)
	f.need(&o.FlexDriver, "flexdriver", "`name` of the FlexDriver")
	f.need(&o.FlexDriverUID, "flexdriver-uid", "`uid` of the FlexDriver")
	f.need(&o.Revision, "revision", "`revision` of the FlexDriver's content")
	f.StringVar(&o.Host, "host", "/host", "`directory` where the node's root is mounted")
	f.StringVar(&o.Payload, "payload", "/flexvolume/payload", "`directory` to leave a copy in for the guard")
	f.DurationVar(&o.Timeout, "timeout", 30*time.Second, "time limit of the driver's init")
	f.Func("rival", "`name` of another FlexDriver for the same vendor and driver; may be repeated", func(name string) error {
		o.Rivals = append(o.Rivals, name)
		return nil
	})
	f.BoolVar(&o.Force, "force-plugin-dir", false, "install though the node's kubelet looks into another directory")
	role := f.String("role", string(install.ForKubelet),
		"`program` that is to find the driver: kubelet, or controller-manager, for which the kubelet need not agree")
	f.requirements(&o.Requirements)
	policy := f.String("verify", "Enforce", "`policy`: Enforce runs init before publishing, Warn does and publishes also what only "+
		"the installer's surroundings may have failed, Skip does not")
	f.checks = append(f.checks, func() error {
		o.Role = install.Role(*role)
		if o.Role != install.ForKubelet && o.Role != install.ForControllerManager {
			return fmt.Errorf("--role=%s: must be kubelet or controller-manager", *role)
		}
		o.Verify, o.Warn = *policy != "Skip", *policy == "Warn"
		if o.Verify && !o.Warn && *policy != "Enforce" {
			return fmt.Errorf("--verify=%s: must be Enforce, Warn or Skip", *policy)
		}
		if !o.Verify && !o.Requirements.Empty() {
			return errors.New("--require-command, --require-module and --require-path need the node's root, which --verify=Skip has not")
		}
		if o.Timeout <= 0 {
			return fmt.Errorf("--timeout=%s: must be longer than 0s", o.Timeout)
		}
		return nil
	})
	return f, o
}

// requirements may each be repeated.
func (f *flagSet) requirements(to *preflight.Requirements) {
	each := func(name, usage string, list *[]string, fits func(value string) bool, words string) {
		f.Func(name, usage+"; may be repeated", func(value string) error {
			if !fits(value) {
				return fmt.Errorf("must be %s", words)
			}
			*list = append(*list, value)
			return nil
		})
	}
	isPath := func(value string) bool { return filepath.IsAbs(value) }
	isCommand := func(value string) bool { return value != "" && (isPath(value) || !strings.Contains(value, "/")) }
	each("require-command", "`name` or absolute path of a command that the node must have", &to.Commands, isCommand,
		"a name or an absolute path")
	each("require-module", "`name` of a kernel module that the node must have loaded, built in or to load", &to.Modules,
		moduleShape.fits, moduleShape.words)
	each("require-path", "`path` that must exist on the node", &to.Paths, isPath, "an absolute path")
}

func guardFlags() (*flagSet, *guard.Options) {
	o := &guard.Options{}
	f := newFlags("guard", "Watches the published driver and repairs it from the copy that install left.")
	f.place(&o.PluginDir, &o.Vendor, &o.Driver)
	f.installID(&o.InstallID)
	f.BoolVar(&o.Idle, "idle", false, "guard nothing, and need no other flag: for the pod of a dry run")
	f.pardoned = &o.Idle
	f.StringVar(&o.Plugins, "plugins", "/plugins", "`directory` where the plugin directory is mounted")
	f.StringVar(&o.Payload, "payload", "/flexvolume/payload", "`directory` with the copy that install left")
	f.checks = append(f.checks, func() error {
		o.Plugins = filepath.Clean(o.Plugins)
		o.Book = filepath.Join(filepath.Dir(filepath.Clean(o.Payload)), "guard.json")
		return nil
	})
	return f, o
}

func removeFlags() (*flagSet, *remove.Options) {
	o := &remove.Options{}
	f := newFlags("remove", "Takes a driver away from the node: what its record says was installed, unless a volume needs it.")
	f.place(&o.PluginDir, &o.Vendor, &o.Driver)
	f.need(&o.FlexDriverUID, "flexdriver-uid", "`uid` of the FlexDriver whose driver it is")
	f.StringVar(&o.Host, "host", "/host", "`directory` where the node's root is mounted")
	return f, o
}

// shape is a kind of name: what characters may stand at its ends, and what more inside it. The
// checks keep any flag from leading out of the plugin directory; regexp would make the guard a
// third larger in memory.
type shape struct{ ends, inside, words string }

const (
	lower   = "abcdefghijklmnopqrstuvwxyz0123456789"
	letters = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

var (
	vendorShape = shape{lower, "-.", "lower-case letters, digits, - and ."}
	driverShape = shape{letters, "-._", "letters, digits, -, . and _"}
	idShape     = shape{letters, "-", "letters, digits and -"}
	moduleShape = shape{letters, "-_", "letters, digits, - and _"}
)

func (s shape) fits(name string) bool {
	for _, c := range name {
		if !strings.ContainsRune(s.ends+s.inside, c) {
			return false
		}
	}
	return name != "" && strings.ContainsAny(name[:1], s.ends) && strings.ContainsAny(name[len(name)-1:], s.ends)
}

func (f *flagSet) place(pluginDir, vendor, driver *string) {
	f.needPath(pluginDir, "plugin-dir", "the kubelet's plugin `directory`, a path of the node")
	f.needShape(vendor, "vendor", "`vendor` of the driver, a DNS name", vendorShape)
	f.needShape(driver, "driver", "`name` of the driver", driverShape)
}

func (f *flagSet) installID(to *string) {
	f.needShape(to, "install-id", "`id` of this installation, the pod's uid", idShape)
}

func (f *flagSet) need(to *string, name, usage string) {
	f.StringVar(to, name, "", usage+" (required)")
	f.required = append(f.required, name)
}

func (f *flagSet) needPath(to *string, name, usage string) {
	f.need(to, name, usage)
	f.checks = append(f.checks, func() error {
		if !filepath.IsAbs(*to) || filepath.Clean(*to) == "/" {
			return fmt.Errorf("--%s=%s: must be an absolute path other than /", name, *to)
		}
		return nil
	})
}

func (f *flagSet) needShape(to *string, name, usage string, want shape) {
	f.need(to, name, usage)
	f.checks = append(f.checks, func() error {
		if !want.fits(*to) {
			return fmt.Errorf("--%s=%s: must be %s, with a letter or digit at both ends", name, *to, want.words)
		}
		return nil
	})
}

// parse reads args; done says that the program ends with code. Wrong usage is reported too, so
// that it does not look like a crash from outside.
func (f *flagSet) parse(args []string, stdout, stderr io.Writer) (code int, done bool) {
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		f.usage(stdout)
		return exitDone, true
	}
	if err == nil {
		err = f.check()
	}
	if err == nil {
		return exitDone, false
	}
	r := internal(f.Name(), errors.New("wrong usage: "+dashes(err)))
	if err := r.WriteIfThere(f.report); err != nil {
		fmt.Fprintf(stderr, "%s: the report cannot be written: %v\n", f.Name(), err)
	}
	fmt.Fprintf(stderr, "%s: %s\n\"installer %s --help\" lists the flags.\n", f.Name(), dashes(err), f.Name())
	return exitUsage, true
}

// dashes spells flags as this program's help does; the flag package writes one dash.
func dashes(err error) string {
	text := err.Error()
	text = strings.Replace(text, "not defined: -", "not defined: --", 1)
	text = strings.Replace(text, "argument: -", "argument: --", 1)
	text = strings.Replace(text, "\" for -", "\" for --", 1)
	return strings.Replace(text, "flag -", "flag --", 1)
}

func (f *flagSet) check() error {
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if f.pardoned != nil && *f.pardoned {
		return nil
	}
	for _, name := range f.required {
		if f.Lookup(name).Value.String() == "" {
			return fmt.Errorf("--%s is missing", name)
		}
	}
	for _, check := range f.checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (f *flagSet) usage(to io.Writer) {
	fmt.Fprintf(to, "%s\n\nUsage: installer %s [FLAGS]\n\nFlags:\n", f.summary, f.Name())
	f.VisitAll(func(entry *flag.Flag) {
		value, usage := flag.UnquoteUsage(entry)
		if entry.DefValue != "" && entry.DefValue != "false" {
			usage += fmt.Sprintf(" (default %s)", entry.DefValue)
		}
		fmt.Fprintf(to, "  --%-26s %s\n", strings.TrimSuffix(entry.Name+"="+strings.ToUpper(value), "="), usage)
	})
}
