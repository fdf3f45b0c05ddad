"""The NFS driver against a real server, by the NFS client of a real kernel."""

import itertools
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed import packages
from tests.support.nfs_machine import EXPORTS, SERVE, SILENT, STOP_SERVING, NfsMachine, running

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="NFS needs root"),
    pytest.mark.timeout(300),
]

DRIVER = Path(__file__).parents[2] / "examples/nfs/nfs"
# The same script with a limit of three seconds in place of a minute, for servers that are down.
HASTY = "/run/nfs"

Reply = dict[str, Any]
SUCCESS: Reply = {"status": "Success"}
_numbers = itertools.count(1)


class Volume:
    """A share of the server with one file, and a directory where a pod wants it."""

    def __init__(self, machine: NfsMachine, name: str, driver: str = str(DRIVER)) -> None:
        self.machine = machine
        self.share = f"/{name}"
        self.exported = EXPORTS + self.share
        self.pod = f"/run/pods/{next(_numbers)}"
        self.path = f"{self.pod}/volumes/example.com~nfs/data"
        self.driver = driver
        self.shell('mkdir "$exported"; echo of the server >"$exported/file"')

    def shell(self, script: str) -> str:
        """Output of commands that have to succeed; they know $pod, $volume and $exported."""
        names = f"pod={self.pod} volume={self.path} exported={shlex.quote(self.exported)}\n"
        done = self.machine.run(names + script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def mount(self, **more: str) -> Reply:
        options = {"kubernetes.io/readwrite": "rw", "server": "127.0.0.1", "share": self.share}
        return self._call("mount", self.path, json.dumps(options | more))

    def unmount(self) -> Reply:
        return self._call("unmount", self.path)

    @property
    def mounts(self) -> list[list[str]]:
        """The fields of its lines in mountinfo."""
        lines = self.shell("cat /proc/self/mountinfo").splitlines()
        return [fields for line in lines if (fields := line.split(" "))[4] == self.path]

    def _call(self, *arguments: str) -> Reply:
        done = self.machine.call(self.driver, *arguments)
        reply: Reply = json.loads(done.stdout)
        assert not done.stderr
        assert (reply["status"] == "Failure") == (done.returncode != 0)
        return reply


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Iterator[NfsMachine]:
    packages.ensure()
    with running(tmp_path_factory.mktemp("nfs")) as machine:
        sed = f"sed 's/^limit=60$/limit=3/' {DRIVER} >{HASTY}; chmod +x {HASTY}"
        assert machine.run(f"{sed}; grep -c ^limit=3$ {HASTY}").stdout == "1\n"
        yield machine


@pytest.fixture
def volume(machine, request):
    found = Volume(machine, request.node.name)
    yield found
    found.unmount()


@pytest.fixture
def down(machine, request):
    """A volume that is mounted, of a server that is down."""
    volume = Volume(machine, request.node.name)
    assert volume.mount() == SUCCESS
    volume.driver = HASTY
    volume.shell(STOP_SERVING)
    yield volume
    volume.shell(SERVE)


def test_a_pod_reads_what_the_server_has_and_the_server_gets_what_it_writes(volume):
    assert volume.mount() == SUCCESS
    assert volume.shell('cat "$volume/file"') == "of the server\n"
    volume.shell('echo of the pod >"$volume/other"')
    assert volume.shell('cat "$exported/other"') == "of the pod\n"
    assert volume.unmount() == SUCCESS
    assert volume.shell('ls -A "$volume"') == ""
    assert volume.shell('ls "$exported"').split() == ["file", "other"]


def test_the_server_is_not_trusted_with_programs_that_gain_rights_or_with_devices(volume):
    assert volume.mount(mountOptions='suid,dev,context="a,suid"') == SUCCESS
    (mount,) = volume.mounts
    assert {"nosuid", "nodev", "rw"} <= set(mount[5].split(","))
    assert mount[mount.index("-") + 1] == "nfs4"


@pytest.mark.parametrize(
    "more", [{"readonly": "true"}, {"kubernetes.io/readwrite": "ro"}, {"mountOptions": "ro"}]
)
def test_a_read_only_volume_cannot_be_written(volume, more):
    options = {"mountOptions": 'rw,context="a,rw"'} | more
    assert volume.mount(**options) == SUCCESS
    assert volume.shell('cat "$volume/file"') == "of the server\n"
    assert volume.shell('touch "$volume/other" 2>&1 || true').endswith("Read-only file system\n")


def test_a_share_of_any_name_is_mounted_once_and_no_other_over_it(machine):
    volume = Volume(machine, 'a b\t"c" it\'s \n $HOME `reboot` \\040 # * % ü')
    for _ in range(2):
        assert volume.mount() == SUCCESS
        assert len(volume.mounts) == 1
    assert volume.shell('cat "$volume/file"') == "of the server\n"
    assert "is mounted there, not 127.0.0.1:/" in volume.mount(share="/")["message"]
    assert volume.unmount() == SUCCESS
    assert volume.mounts == []


def test_the_whole_server_and_slashes_too_many_are_found_again(machine):
    volume = Volume(machine, "slashes")
    for share in ("//slashes//", "/slashes", "/slashes/"):
        assert volume.mount(share=share) == SUCCESS
    assert len(volume.mounts) == 1
    volume.unmount()
    for _ in range(2):
        assert volume.mount(share="/") == SUCCESS
    assert len(volume.mounts) == 1
    volume.unmount()


def test_a_share_that_is_not_there_is_named_and_nothing_is_left(volume):
    message = volume.mount(share="/not there", mountOptions="vers=4.2")["message"]
    assert message.startswith("127.0.0.1:/not there: mount.nfs: ")
    assert "127.0.0.1:/not there" in message.partition("mount.nfs")[2]
    assert volume.shell('[ -e "$pod" ] || echo nothing') == "nothing\n"


def test_a_volume_in_use_stays_until_it_is_free(volume):
    volume.mount()
    volume.shell('cd "$volume"; sleep 1000 >/dev/null 2>&1 & echo $! >/run/user')
    assert "busy" in volume.unmount()["message"]
    assert len(volume.mounts) == 1
    volume.shell("kill $(cat /run/user); while [ -e /proc/$(cat /run/user)/cwd ]; do :; done")
    assert volume.unmount() == SUCCESS


def test_a_mount_ends_in_time_when_the_server_is_silent(machine):
    volume = Volume(machine, "silent", HASTY)
    message = volume.mount(server=SILENT)["message"]
    assert message.startswith(f"{SILENT}:/silent: mount.nfs had no answer after 3 s")
    assert volume.shell('busybox pidof mount.nfs || [ -e "$pod" ] || echo nothing') == "nothing\n"


def test_a_mount_that_failed_works_when_the_server_is_back(volume):
    volume.shell(STOP_SERVING)
    assert "refused" in volume.mount(mountOptions="vers=4.2")["message"]
    volume.shell(SERVE)
    assert volume.mount() == SUCCESS


def test_a_call_for_what_is_mounted_does_not_ask_a_server_that_is_down(down):
    assert down.mount() == SUCCESS


def test_an_unmount_succeeds_though_the_server_is_down(down):
    assert down.unmount() == SUCCESS
    assert down.mounts == []
