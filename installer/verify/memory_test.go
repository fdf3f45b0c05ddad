package verify

import (
	"testing"

	"flexvolume.io/installer/testkit"
)

func TestKillsAreCountedInBothVersionsOfControlGroups(t *testing.T) {
	for content, want := range map[string]int{
		"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n":                3,
		"low 0\nhigh 0\nmax 31\noom 2\noom_kill 1\noom_group_kill 7\n": 1,
		"oom_kill_disable 1\nunder_oom 0\n":                            -1, // before Linux 4.13
		"oom_kill many\n":                                              -1,
	} {
		count, found := readCount(testkit.Write(t, t.TempDir()+"/counter", content))
		if found != (want >= 0) || found && count != want {
			t.Errorf("%q: %d, %t", content, count, found)
		}
	}
	if _, found := readCount("/nowhere"); found {
		t.Error("no file was counted")
	}
}
