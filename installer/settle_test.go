package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// newEntrypointPod is a pod whose driver comes from another container, into a directory that is
// empty at first.
func (n *node) newEntrypointPod() (p *pod, source string) {
	n.t.Helper()
	p = n.newPod("pod-1", "nfs", "r1", "")
	must(os.Remove(filepath.Join(p.image, driver)))
	return p, filepath.Join(p.image, vendor+"~"+driver, driver)
}

func TestADriverThatIsCopiedSlowlyIsTakenWhole(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p, source := n.newEntrypointPod()
	content := testkit.GoodScript("1") + "# the end\n"
	done := make(chan outcome)
	go func() { done <- p.install("--source="+source, "--settle=30s") }()
	// As the upstream example does, a letter at a time, and then once more in place.
	temporary := testkit.Write(t, filepath.Join(filepath.Dir(source), "."+driver), "x")
	must(os.Rename(temporary, source))
	for at := 0; at < len(content); at += len(content)/6 + 1 {
		time.Sleep(300 * time.Millisecond) // not for long enough to be taken for complete
		must(os.WriteFile(source, []byte(content[:min(len(content), at+len(content)/6+1)]), 0o644))
	}
	complete := time.Now()
	out := <-done
	if out.Result != report.Installed || testkit.Read(t, n.exec()) != content {
		t.Errorf("report %+v", out.Report)
	}
	if waited := time.Since(complete); waited < 2*time.Second {
		t.Errorf("taken %s after the last write", waited)
	}
	n.wantFiles()
}

func TestWithoutASettledSourceItIsSaidWhatIsThere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(source string)
		want    []string
	}{
		"nothing":        {func(string) {}, []string{"is not there", "image is empty"}},
		"another driver": {func(source string) { must(os.MkdirAll(filepath.Dir(filepath.Dir(source))+"/k8s~dummy/dummy", 0o755)) }, []string{"is not there", "has k8s~dummy/dummy"}},
		"other files":    {func(source string) { must(os.MkdirAll(filepath.Dir(source)+"/.nfs/nsf", 0o755)) }, []string{"is not there", "has .nfs/nsf"}},
		"a directory":    {func(source string) { must(os.MkdirAll(source, 0o755)) }, []string{"is no file"}},
		"a named pipe": {func(source string) {
			must(os.Mkdir(filepath.Dir(source), 0o755))
			must(syscall.Mkfifo(source, 0o755))
		}, []string{"is no file"}},
		"an empty file": {func(source string) {
			must(os.Mkdir(filepath.Dir(source), 0o755))
			must(os.WriteFile(source, nil, 0o755))
		}, []string{"is still empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			p, source := n.newEntrypointPod()
			test.prepare(source)
			p.install("--source="+source, "--settle=300ms").
				wantFailure(t, report.SourceNotFound, append(test.want, "300ms", source)...)
			n.nothingLeft("[]")
		})
	}
}

func TestASourceThatNeverStandsStillIsNotTaken(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p, source := n.newEntrypointPod()
	testkit.Write(t, source, "#!/bin/sh\n")
	done := make(chan outcome)
	go func() { done <- p.install("--source="+source, "--settle=3s") }()
	for {
		select {
		case out := <-done:
			out.wantFailure(t, report.SourceNotFound, "still being written", "bytes by now")
			n.nothingLeft("[]")
			return
		case <-time.After(200 * time.Millisecond):
			file, err := os.OpenFile(source, os.O_WRONLY|os.O_APPEND, 0)
			must(err)
			_, err = file.WriteString("echo\n")
			must(err)
			file.Close()
		}
	}
}
