"""What a process has used, as the kernel counts it."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def memory(pid: int, field: str = "VmRSS") -> float:
    """MiB of a field of /proc/PID/status: VmRSS is resident now, VmHWM the most there ever was."""
    return _status(pid)[field] / 1024


def cpu(pid: int) -> float:
    """Seconds of CPU since the process began, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def switches(pid: int) -> int:
    """How often one of its threads was put on a processor: at rest, each time is a wake-up."""
    tasks = [_status(pid, int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(t["voluntary_ctxt_switches"] + t["nonvoluntary_ctxt_switches"] for t in tasks)


def _status(pid: int, task: int = 0) -> dict[str, int]:
    """The numbers in the status of a process, or of one of its threads."""
    where = f"/proc/{pid}/task/{task}/status" if task else f"/proc/{pid}/status"
    pairs = (line.split(":", 1) for line in Path(where).read_text().splitlines())
    firsts = ((key, value.split()) for key, value in pairs)
    return {key: int(words[0]) for key, words in firsts if words and words[0].isdigit()}
