"""The NFS driver as a kubelet calls it: one JSON reply per call, real mounts and a real mount.nfs.

The kernel of a build machine has no NFS; test_nfs_server.py boots one that has. Here, what is to
be mounted or is about the arguments of mount.nfs runs with STAND_IN in its place: it mounts a tmpfs
under the same name, so it stands in for the kernel and a server, and for nothing of the driver.
Everything else runs Debian's own mount.nfs.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from testbed import packages

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")

DRIVER = Path(__file__).parents[2] / "examples/nfs/nfs"
TOOLS = ("jq", "mkdir", "mount", "rmdir", "timeout", "umount")
STAND_IN = """#!/bin/sh
printf '%s\\0' "$@" >"${0%/*}/arguments"
exec mount -t tmpfs "$1" "$2"
"""
# No server on this address: port 111, where version 3 begins, refuses at once.
NOBODY = {"server": "127.77.77.77", "share": "/export", "mountOptions": "vers=3,nolock"}
SHARE = {"server": "nfs.example.com", "share": "/export"}

Reply = dict[str, Any]
SUCCESS: Reply = {"status": "Success"}


def options(**more: object) -> str:
    """Options as the kubelet passes them, its own included."""
    own = {
        "kubernetes.io/fsType": "",
        "kubernetes.io/pod.name": "p",
        "kubernetes.io/readwrite": "rw",
    }
    return json.dumps(own | {name.replace("__", "/"): value for name, value in more.items()})


class Host:
    """A machine with mounts of its own; its PATH leads to TOOLS, mount.nfs and nowhere else."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.bin = folder / "bin"
        self.volume = folder / "pods/1/volumes/example.com~nfs/data"
        self.driver = DRIVER
        self._pid = pid
        self.bin.mkdir()
        self.volume.parent.mkdir(parents=True)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, f"{tool} is missing on this machine"
            (self.bin / tool).symlink_to(found)
        (self.bin / "mount.nfs").symlink_to(packages.unpacked("nfs-common") / "sbin/mount.nfs")

    def replace(self, tool: str, script: str) -> None:
        self.lose(tool)
        (self.bin / tool).write_text(script)
        (self.bin / tool).chmod(0o755)

    def lose(self, tool: str) -> None:
        (self.bin / tool).unlink()

    def call(self, *arguments: str, shell: str = "sh") -> Reply:
        """The driver's reply. As for the kubelet, both streams are one: only JSON passes."""
        done = subprocess.run(
            [*self._enter, shutil.which(shell) or shell, str(self.driver), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={"PATH": str(self.bin)},
            timeout=60,
            check=False,
        )
        reply: Reply = json.loads(done.stdout)
        assert done.stdout.count(b"\n") == 1
        assert (reply["status"] == "Failure") == (done.returncode != 0)
        return reply

    def mount(self, **more: object) -> Reply:
        return self.call("mount", str(self.volume), options(**more))

    def failure(self, *arguments: str) -> str:
        """The message of a call that has to fail."""
        reply = self.call(*arguments)
        assert reply["status"] == "Failure"
        return str(reply["message"])

    def run(self, *argv: str) -> str:
        return subprocess.check_output([*self._enter, *argv], text=True)

    @property
    def sources(self) -> list[str]:
        """What is mounted on the volume, the lowest first, as mountinfo writes it."""
        lines = (line.split(" ") for line in self.run("cat", "/proc/self/mountinfo").splitlines())
        return [line[line.index("-") + 2] for line in lines if line[4] == str(self.volume)]

    @property
    def arguments(self) -> list[str]:
        """What the driver gave to the stand-in of mount.nfs."""
        return (self.bin / "arguments").read_text().split("\0")[:-1]

    @property
    def _enter(self) -> list[str]:
        return [shutil.which("nsenter") or "nsenter", f"--mount=/proc/{self._pid}/ns/mnt", "--"]


@pytest.fixture(scope="module", autouse=True)
def _packages():
    packages.ensure()


@pytest.fixture
def host(tmp_path) -> Iterator[Host]:
    own = ["unshare", "--mount", "sh", "-c", "echo; exec sleep infinity"]
    with subprocess.Popen(own, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield Host(tmp_path, process.pid)
        process.kill()


@pytest.fixture
def serving(host) -> Host:
    """A host on which the mount of any share succeeds."""
    host.replace("mount.nfs", STAND_IN)
    return host


def test_init_declares_that_nothing_has_to_be_attached_chowned_or_relabelled(host):
    assert host.call("init") == SUCCESS | {
        "capabilities": {"attach": False, "fsGroup": False, "selinuxRelabel": False}
    }


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        (["jq"], ["jq (install the package jq)"]),
        (["mount.nfs"], ["mount.nfs (install", "nfs-common on Debian", "nfs-utils on RHEL"]),
        (["jq", "mount.nfs"], ["package jq", "nfs-common", "nfs-utils"]),
        (["timeout"], ["package coreutils"]),
    ],
)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_init_names_the_package_of_a_program_the_node_lacks(host, lost, named, shell):
    for tool in lost:
        host.lose(tool)
    reply = host.call("init", shell=shell)
    assert reply["status"] == "Failure"
    assert all(words in reply["message"] for words in named)


@pytest.mark.parametrize(
    "arguments",
    [(), ("getvolumename", "{}"), ("attach", "{}", "n"), ("expandfs",), ("init", "x"), ("mount",)],
)
def test_what_it_does_not_know_is_not_supported(host, arguments):
    assert host.call(*arguments) == {"status": "Not supported"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('{"share":"/e"}', "option server: is missing"),
        ('{"server":"s"}', "option share: is missing"),
        (options(**SHARE | {"server": ""}), 'must be a host name or an IP address, is ""'),
        (options(**SHARE | {"server": "-o"}), "option server"),
        (options(**SHARE | {"server": "a b"}), 'is "a b"'),
        (options(**SHARE | {"server": "a\nb"}), r'is "a\nb"'),
        (options(**SHARE | {"server": "$(reboot)"}), 'is "$(reboot)"'),
        (options(**SHARE | {"server": ["a"]}), 'is ["a"]'),
        (options(**SHARE | {"server": None}), "is null"),
        (options(**SHARE | {"share": "export"}), "option share: must be a path that begins with /"),
        (options(**SHARE | {"share": "/a\0b"}), "option share"),
        (options(**SHARE | {"share": 1}), "is 1"),
        (options(**SHARE, mountOptions="vers=4.2,bg"), "without bg"),
        (options(**SHARE, mountOptions="remount"), "without bg"),
        (options(**SHARE, mountOptions='a"b,bind=1,"'), "without bg"),
        (options(**SHARE, mountOptions='vers=4.2,x"'), "with closed quotes"),
        (options(**SHARE, readonly="yes"), 'option readonly: must be "true" or "false", is "yes"'),
        (options(**SHARE, readonly=True), "is true"),
        (options(**SHARE, path="/"), "option path: unknown, this driver has the options server,"),
        (options(**SHARE, **{"a\nb": ""}), "option a\nb: unknown"),
        ("", "options: must be one JSON object"),
        ("[]", "options: must be one JSON object"),
        ("{}{}", "options: must be one JSON object"),
        ('{"server":', "options: parse error"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused_with_a_reason_and_nothing_is_made(host, wrong, message):
    assert message in host.failure("mount", str(host.volume), wrong)
    assert not host.volume.exists()


@pytest.mark.parametrize(
    "directory", ["data", "/a/../b", "/a/.", "/a b", "/a\nb", "/a\\040b", "", "/"]
)
@pytest.mark.parametrize("command", [("mount", options(**SHARE)), ("unmount",)])
def test_a_directory_no_kubelet_would_name_is_refused(host, command, directory):
    assert host.failure(command[0], directory, *command[1:]).startswith("directory ")


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize("shell", ["dash", "bash"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=TEXT, value=TEXT)
@example(text='"\\\x7f\t\n%s*', value="'; reboot; '")
def test_every_failure_is_valid_json(host, shell, text, value):
    for given_options in (text, options(**SHARE | {"share": value, "server": "-"})):
        reply = host.call("mount", str(host.volume), given_options, shell=shell)
        assert reply["status"] == "Failure"


HOSTILE = [
    "a b", '"quoted"', "it's", "$HOME $(reboot) `reboot`", "line\nbreak", "end\n", "tab\t",
    "back\\slash", "\\040", "ümlaut 日本", "; reboot", "*", "%s", "' \" ' \"",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_any_share_and_any_mount_option_arrives_in_one_piece(serving, text):
    """And is found again in mountinfo, whatever had to be escaped there. With the stand-in."""
    share = SHARE | {"share": f"/{text}", "mountOptions": text}
    assert serving.mount(**share) == SUCCESS
    flags = f"retry=0,{text},nosuid,nodev"
    volume = str(serving.volume)
    assert serving.arguments == [f"nfs.example.com:/{text}", volume, "-o", flags]
    assert serving.mount(**share) == SUCCESS
    assert len(serving.sources) == 1


@pytest.mark.parametrize(
    ("server", "share", "source"),
    [
        ("fd00::1", "/export", "[fd00::1]:/export"),
        ("[fe80::1%eth0]", "/export", "[fe80::1%eth0]:/export"),
        ("10.0.0.1", "/", "10.0.0.1:/"),
        ("s", "//export//data/", "s:/export/data"),
    ],
)
def test_a_source_is_named_as_the_kernel_lists_it(serving, server, share, source):
    """With the stand-in."""
    assert serving.mount(server=server, share=share) == SUCCESS
    assert serving.sources == [source]


@pytest.mark.parametrize(
    ("more", "flags"),
    [
        ({}, "retry=0,nosuid,nodev"),
        ({"readonly": "false", "mountOptions": ""}, "retry=0,nosuid,nodev"),
        ({"readonly": "true"}, "retry=0,nosuid,nodev,ro"),
        ({"kubernetes.io__readwrite": "ro"}, "retry=0,nosuid,nodev,ro"),
        ({"kubernetes.io__readwrite": "ro", "readonly": "false"}, "retry=0,nosuid,nodev,ro"),
        ({"kubernetes.io__readwrite": "ro", "mountOptions": "rw,suid"},
         "retry=0,rw,suid,nosuid,nodev,ro"),
    ],
)  # fmt: skip
def test_no_option_outdoes_read_only_or_what_protects_the_node(serving, more, flags):
    """With the stand-in."""
    assert serving.mount(**SHARE, **more) == SUCCESS
    assert serving.arguments[-1] == flags


def test_another_share_is_not_mounted_over_the_first(serving):
    """With the stand-in."""
    serving.mount(**SHARE)
    message = serving.failure("mount", str(serving.volume), options(**SHARE | {"share": "/other"}))
    assert "nfs.example.com:/export is mounted there, not nfs.example.com:/other" in message
    assert serving.sources == ["nfs.example.com:/export"]


def test_a_volume_reached_by_a_symbolic_link_is_found_again(serving, tmp_path):
    """As when /var/lib/kubelet is a link to a larger disk. With the stand-in."""
    (tmp_path / "link").symlink_to("pods/1")
    linked = str(tmp_path / "link/new/folders/data")
    for _ in range(2):
        assert serving.call("mount", linked, options(**SHARE)) == SUCCESS
    inside = serving.run("cat", "/proc/self/mountinfo")
    assert inside.count(f"{tmp_path}/pods/1/new/folders/data ") == 1
    assert serving.call("unmount", linked) == SUCCESS
    assert "new/folders/data" not in serving.run("cat", "/proc/self/mountinfo")


def test_a_mount_that_did_not_happen_is_no_success(host):
    host.replace("mount.nfs", "#!/bin/sh\nexit 0\n")
    assert "nothing is mounted" in host.mount(**SHARE)["message"]
    assert not host.volume.exists()


def test_a_mount_that_fails_late_is_taken_away_again(host):
    """As when the time is up in the moment of the mount. With the stand-in."""
    host.replace("mount.nfs", STAND_IN.replace("exec ", "") + "echo too late >&2\nexit 32\n")
    assert host.mount(**SHARE)["message"] == "nfs.example.com:/export: too late"
    assert host.sources == []
    assert not host.volume.exists()


def test_a_failure_says_what_mount_nfs_said_and_leaves_nothing(host, tmp_path):
    deeper = tmp_path / "pods/1/not/there/yet"
    message = host.failure("mount", str(deeper), options(**NOBODY))
    assert message == "127.77.77.77:/export: mount.nfs: Connection refused"
    assert sorted((tmp_path / "pods/1").iterdir()) == [tmp_path / "pods/1/volumes"]


def test_a_directory_that_was_there_stays_after_a_failure(host):
    host.volume.mkdir()
    assert "Connection refused" in host.mount(**NOBODY)["message"]
    assert host.volume.is_dir()


def test_a_server_that_cannot_be_resolved_is_named(host):
    message = host.mount(server="nfs.invalid", share="/export")["message"]
    assert "Failed to resolve server nfs.invalid" in message


def test_a_directory_that_cannot_be_made_is_named_and_nothing_is_left(host, tmp_path):
    """A name of 300 letters: no file system takes it."""
    deeper = tmp_path / "pods/new" / ("x" * 300)
    assert "File name too long" in host.failure("mount", str(deeper), options(**SHARE))
    assert not (tmp_path / "pods/new").exists()


def test_mount_nfs_is_ended_when_the_time_is_up(host, tmp_path):
    """The same script with a limit of one second; retry=10 makes mount.nfs try for ten minutes."""
    text = DRIVER.read_text()
    assert "\nlimit=60\n" in text
    host.driver = tmp_path / "nfs"
    host.driver.write_text(text.replace("\nlimit=60\n", "\nlimit=1\n"))
    began = time.monotonic()
    message = host.mount(**NOBODY | {"mountOptions": "vers=3,nolock,retry=10"})["message"]
    assert message.startswith("127.77.77.77:/export: mount.nfs had no answer after 1 s")
    assert time.monotonic() - began < 30
    assert str(host.volume) not in host.run("ps", "-e", "-o", "args")


def test_unmount_may_be_called_twice(host):
    host.volume.mkdir()
    host.run("mount", "-t", "tmpfs", "server:/share", str(host.volume))
    for _ in range(2):
        assert host.call("unmount", str(host.volume)) == SUCCESS
        assert host.sources == []


def test_unmount_takes_all_of_several_mounts(host):
    host.volume.mkdir()
    for share in ("one", "two"):
        host.run("mount", "-t", "tmpfs", share, str(host.volume))
    assert host.call("unmount", f"{host.volume}/") == SUCCESS
    assert host.sources == []


def test_unmount_removes_no_file_and_misses_no_directory(host):
    assert host.call("unmount", str(host.volume)) == SUCCESS
    host.volume.mkdir()
    (host.volume / "precious").touch()
    assert host.call("unmount", str(host.volume)) == SUCCESS
    assert (host.volume / "precious").exists()


def test_a_volume_in_use_is_not_unmounted(host):
    host.volume.mkdir()
    host.run("mount", "-t", "tmpfs", "server:/share", str(host.volume))
    using = [*host._enter, "sh", "-c", 'cd "$0" && echo && exec sleep infinity', str(host.volume)]
    with subprocess.Popen(using, stdout=subprocess.PIPE) as user:
        assert user.stdout
        user.stdout.readline()
        assert "target is busy" in host.failure("unmount", str(host.volume))
        assert host.sources == ["server:/share"]
        user.kill()
    assert host.call("unmount", str(host.volume)) == SUCCESS


def test_without_jq_it_still_answers_and_unmounts(host):
    host.lose("jq")
    host.volume.mkdir()
    host.run("mount", "-t", "tmpfs", "server:/share", str(host.volume))
    assert "install the package jq" in host.mount(**SHARE)["message"]
    assert host.call("unmount", str(host.volume)) == SUCCESS
    assert host.sources == []
