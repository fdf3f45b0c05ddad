package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

// rival is another installer: it puts its own file back as soon as there is another one.
func rival(t *testing.T, n *node) (end func()) {
	const theirs = "#!/bin/sh\n# of somebody else\n"
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for beside := filepath.Join(n.root, "theirs"); ; {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if data, err := os.ReadFile(n.exec()); err != nil || string(data) == theirs {
				continue
			}
			if os.WriteFile(beside, []byte(theirs), 0o755) == nil {
				_ = os.Rename(beside, n.exec())
			}
		}
	}()
	end = func() {
		select {
		case <-stop:
		default:
			close(stop)
		}
		<-ended
	}
	t.Cleanup(end)
	return end
}

func TestAFightIsReportedAndTheGuardGivesWay(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	want := p.mustInstall().SHA256
	g := p.guard(n.plugins())
	end := rival(t, n)
	// It goes on for as long as it looks like people's work, and then there is no more repair.
	code, r := g.wait()
	if code != exitDone || r.Result != report.Failed || r.Reason != report.Contested || r.Repairs != 12 {
		t.Errorf("ended with %d, %+v\n%s", code, r, g.log)
	}
	today := time.Now().UTC().Format("2006-01-02T15:")
	if strings.Count(r.Message, "content changed at "+today) < 2 || r.Serving.SHA256 == want || r.Serving.SHA256 == "" {
		t.Errorf("%+v", r)
	}
	if got := strings.Count(g.log.String(), "contested"); got != 1 {
		t.Errorf("said so %d times: %s", got, g.log)
	}
	// The kubelet starts it anew: it remembers, and waits until a minute after its last repair.
	const nearly = 55 * time.Second
	lastRepair := time.Now().UTC().Add(-nearly)
	p.changeBook(func(book map[string]any) { book["lastRepair"] = lastRepair })
	g = p.guard(n.plugins())
	testkit.Until(t, "it says so", func() bool { return strings.Contains(g.log.String(), "contested") })
	if g.repairs() != 12 {
		t.Errorf("%d repairs; log %s", g.repairs(), g.log)
	}
	testkit.Until(t, "it tries once more", func() bool { return g.repairs() == 13 })
	if waited := time.Since(lastRepair); waited < time.Minute {
		t.Errorf("repaired after %s", waited)
	}
	testkit.Until(t, "and rests again", func() bool { return !n.whole(want) && g.idle() })
	end()
	// Ten minutes after the last change it is over.
	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-g.ended
	p.changeBook(func(book map[string]any) {
		for _, change := range book["fight"].(map[string]any)["changes"].([]any) {
			change.(map[string]any)["at"] = time.Now().UTC().Add(-11 * time.Minute)
		}
		book["lastReport"] = time.Now().UTC().Add(-12 * time.Minute)
	})
	g = p.guard(n.plugins())
	code, r = g.wait()
	if code != exitDone || r.Result != report.Installed || r.Repairs != 14 || !n.whole(want) {
		t.Errorf("ended with %d, %+v\n%s", code, r, g.log)
	}
}

// changeBook makes time pass for a guard that is not running.
func (p *pod) changeBook(change func(book map[string]any)) {
	p.node.t.Helper()
	path := filepath.Join(p.shared, "guard.json")
	var book map[string]any
	if err := json.Unmarshal([]byte(testkit.Read(p.node.t, path)), &book); err != nil {
		p.node.t.Fatal(err)
	}
	change(book)
	data, err := json.Marshal(book)
	if err != nil {
		p.node.t.Fatal(err)
	}
	testkit.Write(p.node.t, path, string(data))
}

func TestAFightWithAnInstallOfOursIsNone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	p := n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1"))
	p.mustInstall()
	g := p.guard(n.plugins())
	end := rival(t, n)
	testkit.Until(t, "it is a fight", func() bool { return strings.Contains(g.log.String(), "contested") })
	end()
	other := n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2")).mustInstall()
	code, r := g.wait()
	if code != exitDone || r.Result != report.Installed || sum(t, n.exec()) != other.SHA256 {
		t.Errorf("ended with %d, %+v\n%s", code, r, g.log)
	}
}
