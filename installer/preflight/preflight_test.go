package preflight

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flexvolume.io/installer/hostfs"
	"flexvolume.io/installer/report"
)

// makeELF builds a header, with a program header that names a loader unless that is empty.
func makeELF(order binary.AppendByteOrder, bits int, machine uint16, loader string) []byte {
	class, data := byte(class64), byte(dataLittle)
	if bits == 32 {
		class = class32
	}
	if order.String() == binary.BigEndian.String() {
		data = dataBig
	}
	segments := uint16(0)
	if loader != "" {
		segments = 2
	}
	out := append([]byte("\x7fELF"), class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	out = order.AppendUint16(out, 2)
	out = order.AppendUint16(out, machine)
	out = order.AppendUint32(out, 1)
	head, segment := 64, 56
	word := func(out []byte, v int) []byte { return order.AppendUint64(out, uint64(v)) }
	if bits == 32 {
		head, segment = 52, 32
		word = func(out []byte, v int) []byte { return order.AppendUint32(out, uint32(v)) }
	}
	out = word(word(word(out, 0), head), 0) // entry, program headers, section headers
	out = order.AppendUint32(out, 0)
	for _, v := range []uint16{uint16(head), uint16(segment), segments, 0, 0, 0} {
		out = order.AppendUint16(out, v)
	}
	if loader == "" {
		return append(out, make([]byte, 16)...)
	}
	out = append(out, order.AppendUint32(nil, 6)...) // PT_PHDR comes first, as in real files
	out = append(out, make([]byte, segment-4)...)
	out = order.AppendUint32(out, segmentInterp)
	at := head + 2*segment
	if bits == 64 {
		out = order.AppendUint32(out, 4)
		out = word(word(word(word(out, at), 0), 0), len(loader)+1)
	} else {
		out = word(word(word(word(out, at), 0), 0), len(loader)+1)
	}
	out = append(out, make([]byte, at-len(out))...)
	return append(append(out, loader...), 0)
}

func TestELFHeadersOfEveryShapeAreRead(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, bits := range []int{32, 64} {
			for _, loader := range []string{"", "/lib/ld-musl-x86_64.so.1"} {
				got, err := readELF(bytes.NewReader(makeELF(order, bits, 8, loader)))
				want := binaryFile{8, bits, order.String() == binary.BigEndian.String(), loader}
				if err != nil || got != want {
					t.Errorf("%s %d %q: %+v, %v", order, bits, loader, got, err)
				}
			}
		}
	}
}

func TestDamagedELFFilesAreNoPrograms(t *testing.T) {
	whole := makeELF(binary.LittleEndian, 64, 62, "/lib64/ld-linux-x86-64.so.2")
	for n := range whole {
		b, err := readELF(bytes.NewReader(whole[:n]))
		if err == nil && b.Loader != "" && n < len(whole)-1 {
			t.Errorf("cut at %d: %+v", n, b)
		}
	}
	for at, value := range map[int]byte{4: 9, 5: 9, 54: 1, 57: 0xff, 64 + 56 + 38: 0xff} {
		broken := bytes.Clone(whole)
		broken[at] = value
		if _, err := readELF(bytes.NewReader(broken)); err == nil {
			t.Errorf("byte %d = %#x passed", at, value)
		}
	}
}

func TestWhatANodeRuns(t *testing.T) {
	for _, test := range []struct {
		arch    string
		machine uint16
		bits    int
		big     bool
		runs    bool
	}{
		{"amd64", 62, 64, false, true}, {"amd64", 3, 32, false, true}, {"amd64", 183, 64, false, false},
		{"amd64", 62, 64, true, false}, {"amd64", 22, 64, true, false}, {"amd64", 243, 64, false, false},
		{"arm64", 183, 64, false, true}, {"arm64", 40, 32, false, true}, {"arm64", 62, 64, false, false},
		{"arm64", 183, 64, true, false}, {"s390x", 22, 64, true, true}, {"s390x", 22, 64, false, false},
		{"ppc64le", 21, 64, false, true}, {"ppc64le", 21, 64, true, false}, {"riscv64", 243, 64, false, true},
		{"arm", 183, 64, false, false}, {"386", 62, 64, false, false},
	} {
		b := binaryFile{Machine: test.machine, Bits: test.bits, BigEndian: test.big}
		if got := b.runsOn(test.arch); got != test.runs {
			t.Errorf("%v on %s: %t", b, test.arch, got)
		}
	}
	if got := (binaryFile{Machine: 999, Bits: 32, BigEndian: true}).String(); got != "machine 999 (32-bit, big-endian)" {
		t.Errorf("%s", got)
	}
}

func TestScriptLinesAreSplitAsTheKernelDoes(t *testing.T) {
	for line, want := range map[string]struct{ interpreter, argument, viaEnv string }{
		"#!/bin/sh\n":                             {"/bin/sh", "", ""},
		"#! /bin/sh -e \nexit":                    {"/bin/sh", "-e", ""},
		"#!\t/bin/sh\t-e -u\n":                    {"/bin/sh", "-e -u", ""},
		"#!/bin/sh":                               {"/bin/sh", "", ""},
		"#!/usr/bin/env python3\n":                {"/usr/bin/env", "python3", "python3"},
		"#!/usr/bin/env python3 -u\n":             {"/usr/bin/env", "python3 -u", "python3 -u"},
		"#!/usr/bin/env -S python3 -u\n":          {"/usr/bin/env", "-S python3 -u", "python3"},
		"#!/usr/bin/env -S A=1 -i python3 -u\n":   {"/usr/bin/env", "-S A=1 -i python3 -u", "python3"},
		"#!/usr/bin/env -S\n":                     {"/usr/bin/env", "-S", ""},
		"#!/usr/bin/env -i\n":                     {"/usr/bin/env", "-i", ""},
		"#!/usr/bin/env\n":                        {"/usr/bin/env", "", ""},
		"#!\n":                                    {"", "", ""},
		"#!/" + strings.Repeat("a", 400) + "/x\n": {"/" + strings.Repeat("a", maxLine-3), "", ""},
	} {
		got := parseScript([]byte(line))
		if got.Interpreter != want.interpreter || got.Argument != want.argument || got.viaEnv() != want.viaEnv {
			t.Errorf("%q: %+v, %q", line, got, got.viaEnv())
		}
	}
}

func TestInterpretersAreLookedForOnTheNode(t *testing.T) {
	root := t.TempDir()
	write := func(path, content string, mode os.FileMode) string {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return root + path
	}
	write("/opt/python", "", 0o755)
	write("/usr/bin/env", "", 0o755)
	write("/bin/jq", "", 0o755)
	write("/sbin/no-x", "", 0o644)
	write("/lib/ld.so", "", 0o755)
	if err := os.Symlink("/opt/python", root+"/usr/bin/python3"); err != nil {
		t.Fatal(err)
	}
	amd64 := func(loader string) string { return string(makeELF(binary.LittleEndian, 64, 62, loader)) }
	for content, want := range map[string]report.Reason{
		"#!/usr/bin/python3\n":        "",
		"#!/usr/bin/env python3\n":    "",
		"#!/usr/bin/env /any/path\n":  "",
		"#!/usr/bin/env jq\n":         "",
		"#!opt/python\n":              "", // relative to /, where it will run
		"#!/usr/bin/env no-x\n":       report.MissingInterpreter,
		"#!/usr/bin/env python3 -u\n": report.MissingInterpreter,
		"#!/opt/perl\n":               report.MissingInterpreter,
		"#!/bin/env jq\n":             report.MissingInterpreter,
		amd64(""):                     "",
		amd64("/lib/ld.so"):           "",
		amd64("/lib/ld-musl.so"):      report.MissingInterpreter,
		"MZ\x90":                      report.InitNotExecutable,
	} {
		driver := write("/driver", content, 0o755)
		node := Node{Root: hostfs.Root(root), Arch: "amd64"}
		err := node.Check(driver)
		if got := reasonOf(err); got != want {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
		node.Partial = true
		if err := node.Check(driver); want == report.MissingInterpreter && err != nil {
			t.Errorf("%q with a partial root: %v", content, err)
		}
	}
}

func reasonOf(err error) report.Reason {
	if err == nil {
		return ""
	}
	return report.AsFailure(err).Reason
}

func TestTheInterpreterOfAFileIsTold(t *testing.T) {
	cut := makeELF(binary.LittleEndian, 64, 62, "/lib64/ld-linux-x86-64.so.2")[:150]
	for content, want := range map[string]string{
		"#!/bin/sh\n":               "/bin/sh",
		"#! /usr/bin/env python3\n": "/usr/bin/env",
		"#!bin/sh -e\n":             "bin/sh",
		"#!\n":                      "",
		"":                          "",
		"echo\n":                    "",
		string(makeELF(binary.LittleEndian, 64, 62, "")):                      "",
		string(makeELF(binary.LittleEndian, 64, 62, "/lib/ld-musl-x86.so.1")): "/lib/ld-musl-x86.so.1",
		string(makeELF(binary.BigEndian, 32, 8, "/lib/ld.so.1")):              "/lib/ld.so.1", // of another machine, too
		string(cut): "",
	} {
		path := filepath.Join(t.TempDir(), "driver")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := Interpreter(path); got != want {
			t.Errorf("%.20q: %q, want %q", content, got, want)
		}
	}
	if got := Interpreter("/nowhere"); got != "" {
		t.Errorf("of no file: %q", got)
	}
}
