package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"flexvolume.io/installer/install"
	"flexvolume.io/installer/publish"
)

// maxName leaves room below the kernel's 255 bytes.
const maxName = 253

// content are the flags that name what to install, beside the driver's own file.
func (f *flagSet) content(o *install.Options) {
	f.DurationVar(&o.Settle, "settle", 0, "how long to wait for the source to come and to stand still for 2s; 0s for not at all")
	f.Func("file", "`mode,name,source` of a file to put beside the driver, such as 0755,jq,/usr/bin/jq; may be repeated",
		func(text string) error {
			file, err := parseFile(text)
			o.Files = append(o.Files, file)
			return err
		})
	f.checks = append(f.checks, func() error {
		if o.Settle < 0 {
			return fmt.Errorf("--settle=%s: must not be shorter than 0s", o.Settle)
		}
		for i, file := range o.Files {
			same := func(other install.File) bool { return other.Name == file.Name }
			if file.Name == o.Driver || slices.ContainsFunc(o.Files[:i], same) {
				return fmt.Errorf("--file: there is already a file %q", file.Name)
			}
		}
		return nil
	})
}

// adoption are the flags that say what becomes of a driver of others.
func (f *flagSet) adoption(o *install.Options) {
	policy := f.String("adoption-policy", string(publish.IfIdentical), "`policy` for a driver that nobody's record names: "+
		"IfIdentical takes it over if it has the same content, Always replaces it and keeps a copy, Never leaves it alone")
	f.StringVar(&o.Turn, "turn", "", "`file` that holds true once such a driver may be replaced; without it that may be done at once")
	f.BoolVar(&o.DryRun, "dry-run", false, "publish nothing: prove the driver, and say which drivers of others there are")
	f.checks = append(f.checks, func() error {
		if o.DryRun && f.Lookup("verify").Value.String() == "Skip" {
			return errors.New("--dry-run cannot be had with --verify=Skip: nothing would be tried")
		}
		o.Adoption = publish.Policy(*policy)
		switch o.Adoption {
		case publish.IfIdentical, publish.Never:
		case publish.Always:
			if f.Lookup("verify").Value.String() == "Skip" {
				return errors.New("--adoption-policy=Always cannot be had with --verify=Skip: no copy can be kept where only the plugin directory is visible")
			}
		default:
			return fmt.Errorf("--adoption-policy=%s: must be IfIdentical, Always or Never", *policy)
		}
		return nil
	})
}

// parseFile reads MODE,NAME,SOURCE; the source may hold commas.
func parseFile(text string) (install.File, error) {
	mode, rest, _ := strings.Cut(text, ",")
	name, source, _ := strings.Cut(rest, ",")
	number, err := strconv.ParseUint(mode, 8, 9)
	switch {
	case err != nil || len(mode) != len("0755"):
		return install.File{}, fmt.Errorf("%q is no mode of four octal digits, at most 0777", mode)
	case !fitsFile(name):
		return install.File{}, fmt.Errorf("%q is no name of a file: letters, digits, -, . and _ with a letter, digit or _ first", name)
	case !filepath.IsAbs(source):
		return install.File{}, fmt.Errorf("%q is no absolute path", source)
	}
	return install.File{Name: name, Mode: os.FileMode(number), Source: source}, nil
}

// fitsFile keeps a name from leading out of the driver's directory and from hiding there.
func fitsFile(name string) bool {
	if name == "" || len(name) > maxName || strings.ContainsAny(name[:1], ".-") {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool { return !strings.ContainsRune(letters+"-._", c) })
}
