"""Commands that documents tell people to type, run as they stand there."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed import builds, images
from tests.support.kit import Kit


def commands(document: Path, heading: str) -> Sequence[str]:
    """The blocks of shell commands below a heading."""
    section = document.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found: list[str] = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert found, f"no commands below {heading!r}"
    return found


class Shell:
    """Runs commands at the root of the repository, with the programs that a user has.

    `here` says what there is here in place of words for what a user has.
    """

    def __init__(self, kit: Kit, folder: Path, here: Mapping[str, str]) -> None:
        programs = {
            "kubectl": kit.cluster.kubectl_command,
            "helm": [str(builds.build(builds.HELM))],
            "flexvolume-operator": [sys.executable, "-m", "flexvolume_operator"],
        }
        for name, command in programs.items():
            (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
            (folder / name).chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "KUBECONFIG": str(kit.kubeconfig)}
        self._here = here

    def __call__(self, text: str) -> None:
        for words, here in self._here.items():
            text = text.replace(words, here)
        done = subprocess.run(
            ["sh", "-eu"],
            input=text,
            cwd=images.ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
