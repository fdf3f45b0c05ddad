"""The image as its container is: a root with a shell, the script and the driver, and /flexmnt."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.inotify import Appearances
from tests.support.kit import until

EXAMPLE = Path(__file__).parents[2] / "examples/upstream-style"
DRIVER = EXAMPLE / "scratch"
BUSYBOX = Path("/bin/busybox")
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin") or "chroot"
PLACE = "flexmnt/example.com~scratch"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="chroot and mounting need root")


def environment() -> dict[str, str]:
    """What the Dockerfile sets."""
    line = next(s for s in (EXAMPLE / "Dockerfile").read_text().splitlines() if s[:4] == "ENV ")
    return dict(word.split("=") for word in line.split()[1:])


@pytest.fixture
def root(tmp_path) -> Path:
    """The image's files, with a static shell for its base."""
    for folder in ("bin", "dev", "flexmnt"):
        (tmp_path / folder).mkdir()
    shutil.copy(BUSYBOX, tmp_path / "bin/busybox")
    for program in ("chmod", "cp", "mkdir", "mv", "sh", "sleep"):
        (tmp_path / "bin" / program).symlink_to("busybox")
    for name in ("deploy", "scratch"):
        shutil.copy(EXAMPLE / name, tmp_path)
    return tmp_path


@contextmanager
def deployed(root: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """The entrypoint, running; ended afterwards as a runtime ends what does not hear SIGTERM."""
    with subprocess.Popen(
        [CHROOT, str(root), "/deploy"],
        env={"PATH": "/bin"} | environment() | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def line(process: subprocess.Popen[str]) -> str:
    """The next that it says; all of them come before it sleeps."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@needs_root
def test_it_puts_the_driver_in_place_says_so_and_stays(root):
    with deployed(root) as process:
        assert line(process) == f"/{PLACE}/scratch is in place"
        placed = root / PLACE / "scratch"
        assert placed.read_bytes() == DRIVER.read_bytes()
        assert placed.stat().st_mode & 0o7777 == 0o755
        assert [found.name for found in placed.parent.iterdir()] == ["scratch"]
        until(lambda: asleep(process.pid), 10, "it sleeps")
        assert process.poll() is None


def asleep(leader: int) -> bool:
    """Whether a child of it is the program sleep."""
    children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    return any(Path(f"/proc/{c}/cmdline").read_bytes().startswith(b"sleep\0") for c in children)


@needs_root
def test_vendor_and_driver_are_the_environments(root):
    (root / "scratch").rename(root / "other")
    with deployed(root, VENDOR="acme.example", DRIVER="other") as process:
        assert line(process) == "/flexmnt/acme.example~other/other is in place"


@needs_root
def test_a_kubelet_never_sees_half_a_driver(root):
    """The name appears by a rename, over an older version, too."""
    (root / PLACE).mkdir()
    (root / PLACE / "scratch").write_text("the older version")
    before = (root / PLACE / "scratch").stat().st_ino
    with Appearances(root / PLACE) as seen, deployed(root) as process:
        line(process)
    assert (root / PLACE / "scratch").stat().st_ino != before
    assert set(seen.names) == {".scratch.new", "scratch"}
    assert (root / PLACE / "scratch").read_bytes() == DRIVER.read_bytes()


@needs_root
def test_an_image_without_its_driver_ends_with_an_error(root):
    (root / "scratch").unlink()
    with deployed(root) as process:
        assert "/scratch" in line(process)
        assert process.wait(timeout=10) != 0
    assert not (root / PLACE / "scratch").exists()


def call(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        ["sh", str(DRIVER), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    reply: dict[str, Any] = json.loads(done.stdout)
    assert (reply["status"] == "Failure") == (done.returncode != 0)
    return reply


def test_its_driver_answers_as_a_kubelet_wants():
    assert call("init") == {"status": "Success", "capabilities": {"attach": False}}
    for arguments in ((), ("attach", "{}", "n"), ("mount",), ("init", "x")):
        assert call(*arguments) == {"status": "Not supported"}


@needs_root
def test_its_driver_mounts_and_unmounts_and_may_be_asked_twice(tmp_path):
    script = """
        for turn in 1 2; do "$driver" mount "$volume" '{}'; done
        grep -c "$volume" /proc/self/mountinfo
        echo content > "$volume/file"
        for turn in 1 2; do "$driver" unmount "$volume"; done
        grep -c "$volume" /proc/self/mountinfo || true
        touch "$volume/../file"
        "$driver" mount "$volume/../file" '{}' || true
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script],
        env={"driver": str(DRIVER), "volume": str(tmp_path / "v"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    success = '{"status":"Success"}'
    failure = '{"status":"Failure","message":"no tmpfs can be mounted"}'
    said = [success, success, "1", success, success, "0", failure]
    assert done.stdout.splitlines() == said, done.stderr
