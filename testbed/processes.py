"""The processes of a cluster, recognised by their environment.

Every process is started with two variables that name its cluster and its role, and inherits
them to its children. So there is nothing to write down that a crash could leave wrong: what
carries the mark is ours, whoever started it and however that one died, and nothing else is.
"""

import os
import select
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from testbed.shell import ClusterError

CLUSTER = "FLEXVOLUME_TESTBED"
ROLE = "FLEXVOLUME_TESTBED_ROLE"
# Memory is there, processors are not: collecting less often saves them.
GOGC = "400"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def start(cluster: Path, role: str, argv: Sequence[str], log: Path) -> None:
    """Start a program in the background; it outlives this one and writes to `log`."""
    environment = {"PATH": PATH, "GOGC": GOGC, CLUSTER: str(cluster), ROLE: role}
    with log.open("ab") as output:
        subprocess.run(
            ["setsid", "--fork", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            check=True,
        )


def running(cluster: Path) -> Mapping[str, Sequence[int]]:
    """Process ids by role."""
    found: dict[str, list[int]] = defaultdict(list)
    for pid, role in _marked(cluster):
        found[role].append(pid)
    return found


def has_stopped(cluster: Path, role: str) -> bool:
    """Whether no process of the role is left.

    Looks for half a second: a program that has just been started is for moments invisible,
    while it replaces itself by the next one.
    """
    deadline = time.monotonic() + 0.5
    while not running(cluster).get(role):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.02)
    return False


def kill(cluster: Path, role: str | None = None, number: int = signal.SIGKILL) -> None:
    """End the processes of a role (None: all of the cluster) and wait until they are gone.

    The mark is read again after the process is pinned, so a reused id is never hit.
    """
    deadline = time.monotonic() + 20
    looks_without = 0
    while looks_without < 2:
        victims = [pid for pid, its in _marked(cluster) if role is None or its == role]
        looks_without = 0 if victims else looks_without + 1
        if time.monotonic() > deadline:
            raise ClusterError(f"processes {victims} of {cluster} do not end")
        _signal(cluster, victims, number)


def _signal(cluster: Path, pids: Sequence[int], number: int) -> None:
    pinned = []
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        pinned.append(handle)
        if _mark(pid, cluster) is not None:
            try:
                signal.pidfd_send_signal(handle, number)
            except ProcessLookupError:
                continue
    try:
        gone = select.poll()
        for handle in pinned:
            gone.register(handle, select.POLLIN)
        deadline = time.monotonic() + 10
        left = len(pinned)
        while left and (remaining := deadline - time.monotonic()) > 0:
            for handle, _ in gone.poll(remaining * 1000):
                gone.unregister(handle)
                left -= 1
    finally:
        for handle in pinned:
            os.close(handle)


def _marked(cluster: Path) -> Iterator[tuple[int, str]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and (role := _mark(int(entry.name), cluster)) is not None:
            yield int(entry.name), role


def _mark(pid: int, cluster: Path) -> str | None:
    """The role of a process in this cluster, or None if it is not one of its processes."""
    try:
        text = _environment(pid).decode(errors="replace")
    except OSError:
        return None
    pairs = dict(part.partition("=")[::2] for part in text.split("\0"))
    return pairs.get(ROLE, "") if pairs.get(CLUSTER) == str(cluster) else None


def _environment(pid: int) -> bytes:
    """Read it again if it is empty: it is, while a process replaces its program by another.

    Kernel threads and ended processes, which never have one, have no program either.
    """
    process = Path(f"/proc/{pid}")
    content = (process / "environ").read_bytes()
    for _ in range(5):
        if content or not (process / "exe").exists():
            break
        time.sleep(0.002)
        content = (process / "environ").read_bytes()
    return content
