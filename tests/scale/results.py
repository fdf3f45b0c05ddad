"""bench/results.json and bench/README.md: the latest figures of each section, and what made them.

A section keeps its own date and commit, so that some can be measured anew without the others.
Figures of another machine are dropped: in one table they would compare nothing.
"""

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testbed import images
from testbed.builds import KUBERNETES_VERSION
from testbed.shell import run
from tests.scale.figures import Section, table

FOLDER = images.ROOT / "bench"

HEAD = """# Benchmarks

`make bench` measured this; [results.json](results.json) has every single value. *measured* is the
median of the runs, or the percentile that the line names. A goal holds if every run met it, unless
it is one for a percentile or the section says so.
"""


def machine() -> dict[str, str]:
    """What the figures depend on besides the code."""
    cpu = _first("/proc/cpuinfo", "model name")
    memory = int(_first("/proc/meminfo", "MemTotal").split()[0]) / 1024**2
    return {
        "CPU": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "Kubernetes": KUBERNETES_VERSION,
    }


def commit() -> str:
    """The commit that was measured, and whether files differed from it."""
    git = ["git", "-C", str(images.ROOT)]
    changed = run([*git, "status", "--porcelain", "--untracked-files=no"]).strip()
    return run([*git, "rev-parse", "--short", "HEAD"]).strip() + (" and changes" if changed else "")


def merged(sections: Sequence[Section], folder: Path = FOLDER) -> dict[str, Any]:
    """What is on file for this machine, with these sections in place of older ones."""
    here = machine()
    stamp = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit()}
    try:
        known = json.loads((folder / "results.json").read_text())
    except FileNotFoundError:
        known = {}
    kept = known.get("sections", {}) if known.get("machine") == here else {}
    new = {
        section.letter: {
            "title": section.title,
            "note": section.note,
            **stamp,
            "rows": [row.json() for row in section.rows],
        }
        for section in sections
    }
    return {"machine": here, "sections": dict(sorted({**kept, **new}.items()))}


def markdown(results: dict[str, Any]) -> str:
    """The same for people."""
    facts = [f"- {key}: {value}" for key, value in results["machine"].items()]
    parts = [HEAD, "\n".join(facts)]
    for letter, section in results["sections"].items():
        when = f"Measured on {section['date']}, commit {section['commit']}."
        parts += [f"## ({letter}) {section['title']}", f"{section['note']} {when}"]
        parts.append(table(section["rows"]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def write(results: dict[str, Any], folder: Path = FOLDER) -> None:
    """Both files, each whole or not at all."""
    folder.mkdir(exist_ok=True)
    texts = {"results.json": json.dumps(results, indent=1) + "\n", "README.md": markdown(results)}
    for name, text in texts.items():
        unfinished = folder / f"{name}.new"
        unfinished.write_text(text)
        unfinished.rename(folder / name)


def _first(file: str, key: str) -> str:
    lines = (line.partition(":") for line in Path(file).read_text().splitlines())
    return next(value.strip() for name, _, value in lines if name.strip() == key)
