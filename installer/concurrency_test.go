package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"

	"flexvolume.io/installer/report"
	"flexvolume.io/installer/testkit"
)

func TestReadersNeverMissTheFileNorSeeAPartOfIt(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	versions := map[string]bool{}
	pods := []*pod{}
	for _, version := range []string{"1", "2"} {
		content := testkit.GoodScript(version) + fmt.Sprintf("#%0200000d\n", 1)
		versions[content] = true
		pods = append(pods, n.newPod("pod-"+version, "nfs", "r"+version, content))
	}
	pods[0].mustInstall()
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			file, err := os.Open(n.exec())
			if err != nil {
				t.Errorf("missing: %v", err)
				return
			}
			info, _ := file.Stat()
			content, err := io.ReadAll(file)
			file.Close()
			if err != nil || !versions[string(content)] || info.Mode() != 0o755 {
				t.Errorf("read %d bytes, mode %v, %v", len(content), info.Mode(), err)
				return
			}
		}
	})
	for i := range 20 {
		pods[(i+1)%2].mustInstall()
	}
	close(stop)
	readers.Wait()
}

func TestTheKubeletHearsOncePerChange(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"--verify=Enforce", "--verify=Skip"} {
		n := newNode(t)
		kubelet := newKubelet(t, n.plugins())
		n.newPod("pod-1", "nfs", "r1", testkit.GoodScript("1")).mustInstall(policy)
		first := kubelet.events()
		// Into a new directory that is not renamed the file comes before or after the kubelet's watch.
		rest := slices.DeleteFunc(slices.Clone(first), func(event string) bool {
			return policy == "--verify=Skip" && event == "CREATE example.com~nfs/nfs"
		})
		if !slices.Equal(rest, []string{"CREATE example.com~nfs"}) {
			t.Errorf("%s: the kubelet saw %q", policy, first)
		}
		n.newPod("pod-2", "nfs", "r2", testkit.GoodScript("2")).mustInstall(policy)
		kubelet.wantSeen(append(first, "CREATE example.com~nfs/nfs")...)
		n.newPod("pod-3", "nfs", "r3", testkit.GoodScript("2")).mustInstall(policy)
		kubelet.wantSeen(append(first, "CREATE example.com~nfs/nfs", "CHMOD example.com~nfs/nfs")...)
	}
}

func TestOfTwoFlexDriversAtOnceOneWins(t *testing.T) {
	t.Parallel()
	for round := range 10 {
		n := newNode(t)
		a := n.newPod("pod-a", "nfs-a", "r1", testkit.GoodScript("a"))
		b := n.newPod("pod-b", "nfs-b", "r1", testkit.GoodScript("b"))
		outcomes := together(
			func() outcome { return a.install("--rival=nfs-b") },
			func() outcome { return b.install("--rival=nfs-a") },
		)
		winner, loser := outcomes[0], outcomes[1]
		if winner.Result != report.Installed {
			winner, loser = loser, winner
		}
		if winner.Result != report.Installed || loser.Reason != report.DuplicateDriver {
			t.Errorf("round %d: %+v and %+v", round, winner.Report, loser.Report)
		}
		if r := n.record(); r.SHA256 != winner.SHA256 || r.FlexDriver != loser.Owner || sum(t, n.exec()) != winner.SHA256 {
			t.Errorf("round %d: record %+v", round, r)
		}
		n.nothingLeft("[example.com~nfs]")
	}
}

func TestTwoPodsOfOneFlexDriverAtOnceLeaveAWholeState(t *testing.T) {
	t.Parallel()
	for range 10 {
		n := newNode(t)
		a := n.newPod("pod-a", "nfs", "r1", testkit.GoodScript("a"))
		b := n.newPod("pod-b", "nfs", "r2", testkit.GoodScript("b"))
		for _, out := range together(func() outcome { return a.install() }, func() outcome { return b.install("--verify=Skip") }) {
			if out.Result != report.Installed {
				t.Errorf("%+v", out.Report)
			}
		}
		if r := n.record(); r.SHA256 != sum(t, n.exec()) {
			t.Errorf("record %+v", r)
		}
		n.nothingLeft("[example.com~nfs]")
	}
}

func together(calls ...func() outcome) []outcome {
	outcomes := make([]outcome, len(calls))
	var group sync.WaitGroup
	for i, call := range calls {
		group.Go(func() { outcomes[i] = call() })
	}
	group.Wait()
	return outcomes
}
