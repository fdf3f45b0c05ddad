"""Running programs and waiting for conditions, with errors that say what to look at."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

import click

T = TypeVar("T")


class ClusterError(Exception):
    """Something a person has to look at; the message names it and the log to read."""


class CommandError(ClusterError):
    """A program that was run has failed; the message has its command line and what it said."""


def say(text: str) -> None:
    """Tell the person at the terminal what happens now."""
    click.echo(text, err=True)


def run(
    argv: Sequence[str],
    stdin: bytes | str | Path = b"",
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and return what it printed; raises CommandError if it fails.

    It reads `stdin`, or the file of that path. `environment` is added to this program's own.
    """
    data = stdin.encode() if isinstance(stdin, str) else stdin
    full = {**os.environ, **(environment or {})}
    with data.open("rb") if isinstance(data, Path) else nullcontext() as file:
        given = None if isinstance(data, Path) else data
        done = subprocess.run(
            list(argv), stdin=file, input=given, capture_output=True, check=False, env=full
        )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
        raise CommandError(f"`{' '.join(argv)}` ended with code {done.returncode}: {said}")
    return done.stdout.decode(errors="replace")


def until(condition: Callable[[], T], timeout: float, what: str) -> T:
    """Poll until the condition gives something true and return it.

    A condition that raises OSError or CommandError does not hold yet. Raises ClusterError after
    `timeout` seconds, with the last of these.
    """
    deadline = time.monotonic() + timeout
    pause = 0.02
    last = ""
    while True:
        try:
            if found := condition():
                return found
        except (OSError, CommandError) as problem:
            last = f" ({problem})"
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not so after {timeout:.0f} s{last}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log file, for an error message."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return "(there is no log)"
    return "\n".join(text.splitlines()[-lines:])
