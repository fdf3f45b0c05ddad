"""One cgroup per node, in every hierarchy, so that kubelets do not clean up each other's pods."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

from testbed.shell import until

ROOT = Path("/sys/fs/cgroup")


def create(name: str) -> None:
    """Make the group everywhere; what a cpuset needs to accept processes comes from its parent."""
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (group / setting).exists() and (hierarchy / setting).exists():
                (group / setting).write_text((hierarchy / setting).read_text())


def remove(name: str) -> None:
    """Take the group and everything below it away; its processes must have ended."""
    for hierarchy in _hierarchies():
        top = hierarchy / name
        if top.exists():
            until(functools.partial(_removed, top), 15, f"cgroup {top} is gone")


def _hierarchies() -> Iterator[Path]:
    if (ROOT / "cgroup.controllers").exists():
        yield ROOT
        return
    seen: set[Path] = set()
    for entry in sorted(ROOT.iterdir()):
        real = entry.resolve()
        if entry.is_dir() and real not in seen:
            seen.add(real)
            yield real


def _removed(top: Path) -> bool:
    """Remove bottom-up. A process that has just been killed keeps its group busy for a moment."""
    for folder, _, _ in os.walk(top, topdown=False):
        Path(folder).rmdir()
    return not top.exists()
