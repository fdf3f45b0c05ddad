package verify

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"flexvolume.io/installer/report"
)

// cgroups is where runtimes mount them, also in a container.
const cgroups = "/sys/fs/cgroup"

// counters say, for the name of a controller in /proc/self/cgroup, where the group of a process
// counts the processes that were killed for its memory limit; version 2 has no name.
var counters = map[string]struct{ mount, file string }{
	"memory": {cgroups + "/memory", "memory.oom_control"},
	"":       {cgroups, "memory.events"},
}

// oomKills counts the processes of this container that the kernel has killed for the container's
// memory limit. Where that cannot be read it stays 0, and a killed init is just a failed one.
func oomKills() int {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(groups)) { // id:controllers:path
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			counter, known := counters[controller]
			if !known {
				continue
			}
			// In a container the path may begin at the node's root, and the mount at our group.
			for _, group := range []string{fields[2], "/"} {
				if count, found := readCount(filepath.Join(counter.mount, group, counter.file)); found {
					return count
				}
			}
		}
	}
	return 0
}

func readCount(path string) (count int, found bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		if text, is := strings.CutPrefix(line, "oom_kill "); is {
			count, err := strconv.Atoi(strings.TrimSpace(text))
			return count, err == nil
		}
	}
	return 0, false
}

// killedForMemory is what a failure turns out to be when a process of init was killed meanwhile. What
// the driver says whether or not something was killed stays what it is.
func killedForMemory(err error) error {
	if reason := report.AsFailure(err).Reason; reason != report.InitFailed && reason != report.InitInvalidOutput {
		return err
	}
	return report.Failf(report.InitOOMKilled,
		"init or a process that it started was killed because the install container came to its memory "+
			"limit; then %s", report.AsFailure(err).Message)
}
