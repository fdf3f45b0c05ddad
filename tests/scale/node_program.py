"""(h): what the node program takes from each node."""

import io
import json
import os
import resource
import shutil
import stat
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from testbed import images
from tests.scale import process
from tests.scale.figures import Goal, Row, Section
from tests.scale.plan import Plan, Tell

PLUGINS = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
SIZE = 5_000_000
INSTALLS = 15
GUARDS = 3
SETTLE = 10.0
REST = 60.0
INIT = b"""#!/bin/sh
echo '{"status":"Success","capabilities":{"attach":false}}'
exit
"""


def measure(_plan: Plan, tell: Tell) -> list[Section]:
    """The section h."""
    with tempfile.TemporaryDirectory() as folder:
        tell(f"(h) {INSTALLS} installations of a driver of {SIZE / 1e6:.0f} MB")
        program = build(Path(folder))
        nodes = [Node(Path(folder, f"node-{number}"), program) for number in range(INSTALLS)]
        cpu = [node.install() for node in nodes]
        tell(f"(h) {GUARDS} guards at rest for {REST:.0f} s")
        memory, wakes = rest(nodes[:GUARDS])
        size = program.stat().st_size / 1e6
    rows = [
        Row(f"CPU to install a driver of {SIZE / 1e6:.0f} MB", "ms", cpu, Goal("<", 50)),
        Row("resident memory of a guard", "MiB", memory, Goal("<", 4)),
        Row("wake-ups of a guard at rest", "a second", wakes, Goal("<", 0.5)),
        Row("size of the program", "MB", [size]),
        Row("size of its image, unpacked", "MB", [image_size()], Goal("<", 4)),
    ]
    note = (
        "The program as the image holds it, each time on a new root of a node that has nothing on "
        "it; the CPU time includes that of the driver's init, a shell script. Rest is "
        f"{REST:.0f} s; a wake-up is any of the process's threads being put on a processor, and "
        "the one a minute is the Go runtime's own, which asks whether to collect garbage."
    )
    return [Section("h", "The node program", note, rows)]


def build(folder: Path) -> Path:
    """The node program, built as the Dockerfile does."""
    program = folder / "installer"
    flags = ["-trimpath", "-ldflags=-s -w", "-o", str(program)]
    own = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    subprocess.run(
        ["go", "build", *flags, "."],
        cwd=images.ROOT / "installer",
        env=os.environ | own,
        check=True,
    )
    return program


def driver() -> bytes:
    """A driver of SIZE that cannot be compressed to nothing."""
    return INIT + os.urandom((SIZE - len(INIT)) // 2).hex().encode()


def image_size() -> float:
    """MB of the image's layers, which in this kind of archive are not compressed."""
    with tarfile.open(images.find(images.INSTALLER)) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        return sum(archive.getmember(layer).size for layer in manifest["Layers"]) / 1e6


class Node:
    """The root of a node with a shell and nothing else, and an installer pod's folders."""

    def __init__(self, base: Path, program: Path) -> None:
        self._program = program
        self._root, self._pod = base / "root", base / "pod"
        for folder in ("bin", "dev", "proc/sys/kernel/random", PLUGINS.lstrip("/")):
            (self._root / folder).mkdir(parents=True)
        shutil.copy("/bin/busybox", self._root / "bin/sh")
        os.mknod(self._root / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        (self._root / "proc/sys/kernel/random/boot_id").write_text(f"{uuid.uuid4()}\n")
        self._pod.mkdir()
        (self._pod / "driver").write_bytes(driver())

    def install(self) -> float:
        """Milliseconds of CPU of an installation, of the program and of what it starts."""
        names = ["--flexdriver=bench", "--flexdriver-uid=bench", "--revision=1"]
        where = [f"--host={self._root}", f"--source={self._pod}/driver"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(self._command("install", *names, *where), check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (self._root / PLUGINS.lstrip("/") / "example.com~driver/driver").stat().st_size > 0
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return used * 1000

    def guard(self) -> subprocess.Popen[bytes]:
        """Start the guard of what was installed."""
        return subprocess.Popen(
            self._command("guard", f"--plugins={self._root}{PLUGINS}"), stderr=subprocess.DEVNULL
        )

    def _command(self, verb: str, *more: str) -> list[str]:
        return [
            *(str(self._program), verb, f"--plugin-dir={PLUGINS}", "--vendor=example.com"),
            *("--driver=driver", "--install-id=bench", f"--payload={self._pod}/payload"),
            *(f"--report={self._pod}/report", *more),
        ]


def rest(nodes: Sequence[Node]) -> tuple[list[float], list[float]]:
    """MiB that guards hold at the end of a rest, and how often each woke up in it."""
    running = [node.guard() for node in nodes]
    try:
        time.sleep(SETTLE)
        before = [process.switches(guard.pid) for guard in running]
        time.sleep(REST)
        after = [process.switches(guard.pid) for guard in running]
        memory = [process.memory(guard.pid) for guard in running]
    finally:
        for guard in running:
            guard.terminate()
            guard.wait()
    return memory, [(late - soon) / REST for soon, late in zip(before, after, strict=True)]
