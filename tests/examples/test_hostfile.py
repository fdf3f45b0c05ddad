"""The example driver as a kubelet calls it: one JSON reply per call, and real mounts."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

DRIVER = Path(__file__).parents[2] / "examples/hostfile/hostfile"
FILES = {"boot-id", "hostname", "kernel", "os-release"}

Reply = dict[str, Any]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def call(*arguments: str, shell: str = "sh") -> Reply:
    """The driver's reply. As for the kubelet, both streams are one, so nothing but JSON passes."""
    done = subprocess.run(
        [shell, str(DRIVER), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    reply: Reply = json.loads(done.stdout)
    assert (reply["status"] == "Failure") == (done.returncode != 0)
    return reply


def in_namespace(script: str, volume: Path) -> subprocess.CompletedProcess[str]:
    """Runs shell commands with $driver and $volume in a mount namespace that ends with them."""
    return subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script],
        env={"driver": str(DRIVER), "volume": str(volume), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def options(**more: str) -> str:
    """Options as the kubelet passes them, its own included."""
    own = {
        "kubernetes.io/fsType": "",
        "kubernetes.io/pod.name": "p",
        "kubernetes.io/readwrite": "rw",
    }
    return json.dumps(own | more, separators=(",", ":"))


def test_init_declares_that_nothing_has_to_be_attached_chowned_or_relabelled():
    assert call("init") == {
        "status": "Success",
        "capabilities": {"attach": False, "fsGroup": False, "selinuxRelabel": False},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("getvolumename", "{}"),
        ("attach", "{}", "node"),
        ("expandfs",),
        ("init", "x"),
        ("mount",),
    ],
)
def test_what_it_does_not_know_is_not_supported(arguments):
    assert call(*arguments) == {"status": "Not supported"}


@pytest.mark.parametrize(
    ("given_options", "message"),
    [
        (options(files="../../etc/shadow"), "../../etc/shadow"),
        (options(files="/etc/shadow"), "/etc/shadow"),
        (options(files=""), "is not one of"),
        (options(files="kernel,"), "is not one of"),
        (options(files="kernel,*"), "is not one of"),
        (options(path="/"), "option path: unknown"),
        (options(files='kernel"'), "escaped characters"),
        (options(files="$(reboot)"), "$(reboot)"),
        (options(files="kernel\n"), "escaped characters"),
        ('{"files":1}', "strings are expected"),
        ('{"files":"}', "strings are expected"),
        ('{"files":"kernel",}', "unexpected text after files"),
        ('{"files" : "kernel"}', "no value after files"),
        ('{"files":{"a":"b"}}', "strings are expected"),
        ("", "a JSON object is expected"),
        ("null", "a JSON object is expected"),
        ('{"files":"' + 5000 * "x" + '"}', "longer than 4096"),
    ],
)
def test_a_hostile_or_broken_option_is_refused_with_a_reason(given_options, message, tmp_path):
    reply = call("mount", str(tmp_path / "volume"), given_options)
    assert reply["status"] == "Failure"
    assert message in reply["message"]
    assert not (tmp_path / "volume").exists()


@pytest.mark.parametrize("directory", ["volume", "/var/../etc", "/a b", "/a\nb", "/a\\040b", ""])
@pytest.mark.parametrize("command", [("mount", "{}"), ("unmount",)])
def test_a_directory_no_kubelet_would_name_is_refused(command, directory):
    reply = call(command[0], directory, *command[1:])
    assert reply["message"].startswith("mount directory")


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(
            name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"no {name} here")
        )
        for name in ("dash", "bash")
    ],
)
@settings(deadline=None)  # of starting programs, which a busy machine does slowly
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
@example(text='"\\\x7f\t\n%s*')
def test_every_failure_is_valid_json(shell, text):
    reply = call("mount", "/", text, shell=shell)
    assert reply["status"] == "Failure"


@pytest.fixture
def mounting(tmp_path) -> Callable[[str], str]:
    def run(script: str) -> str:
        done = in_namespace(script, tmp_path / "pods" / "example.com~hostfile" / "v")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@needs_root
def test_a_pod_gets_the_files_it_asked_for_and_cannot_write(mounting):
    output = mounting(f"""
        "$driver" mount "$volume" '{options(files="kernel,hostname")}' >&2
        ls "$volume"
        cat "$volume/kernel"
        touch "$volume/more" 2>/dev/null || echo read-only
    """)
    assert output.split() == ["hostname", "kernel", os.uname().release, "read-only"]


@needs_root
def test_without_options_a_pod_gets_all_files(mounting):
    assert set(mounting('"$driver" mount "$volume" {} >&2; ls "$volume"').split()) == FILES


@needs_root
def test_mount_and_unmount_may_be_called_twice(mounting):
    output = mounting("""
        "$driver" mount "$volume" {} >&2
        "$driver" mount "$volume" {} >&2
        grep -c "$volume" /proc/self/mountinfo
        "$driver" unmount "$volume" >&2
        "$driver" unmount "$volume" >&2
        grep -c "$volume" /proc/self/mountinfo || true
        rmdir "$volume"
    """)
    assert output.split() == ["1", "0"]


@needs_root
def test_a_volume_reached_by_a_symbolic_link_is_found_again(mounting):
    output = mounting("""
        pods=${volume%/*}
        mkdir -p "$pods/real" && ln -s real "$pods/link"
        "$driver" mount "$pods/link/v" {} >&2
        "$driver" mount "$pods/link/v" {} >&2
        grep -c "$pods/real/v" /proc/self/mountinfo
        "$driver" unmount "$pods/link/v" >&2
        grep -c "$pods/real/v" /proc/self/mountinfo || true
    """)
    assert output.split() == ["1", "0"]


@needs_root
def test_an_interrupted_mount_is_completed(mounting):
    output = mounting("""
        mkdir -p "$volume"
        mount -t tmpfs tmpfs "$volume"
        echo half > "$volume/kernel"
        "$driver" mount "$volume" {} >&2
        grep "$volume" /proc/self/mountinfo | cut -d ' ' -f 6
        cat "$volume/kernel"
    """)
    flags, kernel = output.split()
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(flags.split(","))
    assert kernel == os.uname().release


@needs_root
def test_a_missing_file_of_the_host_fails_the_mount_and_leaves_nothing(mounting):
    output = mounting("""
        mount -t tmpfs tmpfs /etc
        "$driver" mount "$volume" '{"files":"os-release"}' || true
        grep -c "$volume" /proc/self/mountinfo || true
    """)
    reply, mounts = output.splitlines()
    assert json.loads(reply)["message"].startswith("os-release: cat: /etc/os-release")
    assert mounts == "0"


@needs_root
def test_a_mount_that_cannot_be_made_says_what_mount_said(mounting):
    output = mounting("""
        mkdir -p "${volume%/*}" && touch "$volume"
        "$driver" mount "$volume" {} || true
    """)
    assert "File exists" in json.loads(output)["message"]
