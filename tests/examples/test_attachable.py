"""The attachable example as controller-manager and kubelet call it: attachments that are true."""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

DRIVER = Path(__file__).parents[2] / "examples/attachable/attachable"
SHELLS = [name for name in ("dash", "bash") if shutil.which(name)]

Reply = dict[str, Any]
SUCCESS: Reply = {"status": "Success"}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def call(driver: Path, *arguments: str, shell: str = "sh") -> Reply:
    """The driver's reply. As for the caller, both streams are one, so nothing but JSON passes."""
    done = subprocess.run(
        [shell, str(driver), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    reply: Reply = json.loads(done.stdout)
    assert (reply["status"] == "Failure") == (done.returncode != 0)
    return reply


def options(disk: str = "data", **more: str) -> str:
    """Options as the callers pass them."""
    own = {
        "kubernetes.io/fsType": "",
        "kubernetes.io/pvOrVolumeName": disk,
        "kubernetes.io/readwrite": "rw",
    }
    return json.dumps(own | more, separators=(",", ":"))


@dataclass(frozen=True)
class Installed:
    """The driver in a directory of its own, with settings beside it and one disk."""

    folder: Path

    @property
    def pool(self) -> Path:
        return self.folder / "pool"

    @property
    def log(self) -> Path:
        return self.folder / "calls.log"

    @property
    def driver(self) -> Path:
        return self.folder / "attachable"

    def settings(self, *lines: str) -> None:
        (self.folder / "attachable.conf").write_text("".join(f"{line}\n" for line in lines))

    def __call__(self, *arguments: str) -> Reply:
        return call(self.driver, *arguments)

    def device(self, node: str = "node-1", disk: str = "data") -> Path:
        return self.pool / "attached" / node / disk

    def where(self) -> list[str]:
        return sorted(str(found.relative_to(self.pool)) for found in self.pool.glob("**/data"))


def installed(folder: Path) -> Installed:
    found = Installed(folder)
    shutil.copy(DRIVER, found.driver)
    found.settings("# of a test", "", f"log={found.log}", f"pool={found.pool}")
    (found.pool / "detached/data").mkdir(parents=True)
    return found


@pytest.fixture
def driver(tmp_path) -> Installed:
    return installed(tmp_path)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory) -> Installed:
    return installed(tmp_path_factory.mktemp("lasting"))


def test_init_declares_that_volumes_are_attached(driver):
    assert driver("init") == {
        "status": "Success",
        "capabilities": {
            "attach": True,
            "fsGroup": True,
            "selinuxRelabel": True,
            "requiresFSResize": False,
        },
    }


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("getvolumename", "{}"),
        ("mount", "/volume", "{}"),
        ("unmount", "/volume"),
        ("expandfs",),
        ("attach",),
        ("init", "x"),
    ],
)
def test_what_the_callers_do_better_themselves_is_not_supported(driver, arguments):
    assert driver(*arguments) == {"status": "Not supported"}


def test_a_disk_is_attached_and_detached_and_its_place_says_so(driver):
    attached = {"status": "Success", "attached": True}
    detached = {"status": "Success", "attached": False}
    assert driver("isattached", options(), "node-1") == detached
    reply = driver("attach", options(), "node-1")
    assert reply == {"status": "Success", "device": str(driver.device())}
    assert driver.where() == ["attached/node-1/data"]
    assert driver("isattached", options(), "node-1") == attached
    assert driver("isattached", options(), "node-2") == detached
    assert driver("detach", "data", "node-1") == SUCCESS
    assert driver.where() == ["detached/data"]
    assert driver("isattached", options(), "node-1") == detached


def test_every_call_may_be_repeated(driver):
    assert driver("attach", options(), "node-1") == driver("attach", options(), "node-1")
    device = str(driver.device())
    expected = {"status": "Success", "device": device}
    assert driver("waitforattach", device, options()) == expected
    assert driver("waitforattach", device, options()) == expected
    assert driver("detach", "data", "node-1") == driver("detach", "data", "node-1") == SUCCESS
    assert driver("attach", options(), "node-1")["status"] == "Success"


def test_a_disk_is_attached_to_one_node_at_a_time_and_the_message_names_it(driver):
    driver("attach", options(), "node-1")
    reply = driver("attach", options(), "node-2")
    assert reply["message"] == "disk data is attached to node node-1"
    assert driver.where() == ["attached/node-1/data"]


def test_of_many_attachers_one_wins(driver):
    nodes = [f"node-{index}" for index in range(8)]
    with ThreadPoolExecutor(len(nodes)) as pool:
        replies = list(pool.map(lambda node: driver("attach", options(), node), nodes))
    (winner,) = (reply["device"] for reply in replies if reply["status"] == "Success")
    assert driver.where() == [str(Path(winner).relative_to(driver.pool))]


def test_detaching_from_a_node_that_does_not_have_the_disk_changes_nothing(driver):
    driver("attach", options(), "node-1")
    assert driver("detach", "data", "node-2") == SUCCESS
    assert driver("detach", "none", "node-1") == SUCCESS
    assert driver.where() == ["attached/node-1/data"]


def test_isattached_tells_the_state_and_not_what_was_done(driver):
    driver("attach", options(), "node-1")
    driver.device().rename(driver.pool / "detached/data")
    assert driver("isattached", options(), "node-1")["attached"] is False
    assert driver("attach", options(), "node-1")["status"] == "Success"


def test_a_disk_that_does_not_exist_is_not_made_up(driver):
    message = driver("attach", options("other"), "node-1")["message"]
    assert message == f"there is no disk other; mkdir {driver.pool}/detached/other makes one"
    assert driver.where() == ["detached/data"]


@pytest.mark.parametrize(
    "arguments",
    [("attach", options(), "n"), ("isattached", options(), "n"), ("detach", "data", "n")],
    ids=lambda arguments: arguments[0],
)
def test_a_pool_that_is_not_mounted_is_no_sign_that_nothing_is_attached(driver, arguments):
    shutil.rmtree(driver.pool)
    driver.pool.mkdir()
    assert "the pool is not mounted here" in driver(*arguments)["message"]


def test_two_disks_of_one_name_are_left_to_a_person(driver):
    driver("attach", options(), "node-1")
    (driver.pool / "detached/data").mkdir()
    (driver.pool / "detached/data/file").touch()
    assert driver("detach", "data", "node-1")["message"].startswith("mv ")
    assert driver.where() == ["attached/node-1/data", "detached/data"]


def test_the_node_side_refuses_what_is_not_attached(driver):
    device = str(driver.device())
    for arguments in (
        ("waitforattach", device, options()),
        ("mountdevice", "/mounts/data", device, options()),
    ):
        assert driver(*arguments)["message"].startswith(f"device {device}: no such directory")


@pytest.mark.parametrize("device", ["", "/etc", "/pool/detached/data", "/a/attached/n/other"])
def test_the_node_side_takes_no_other_directory_for_the_disk(driver, device):
    assert driver("mountdevice", "/mounts/data", device, options())["message"].startswith("device")


@pytest.mark.parametrize(
    ("given_options", "message"),
    [
        (options(path="/"), "option path: unknown, this driver has no options"),
        (options(""), 'volume "": must be a name'),
        (options("../data"), 'volume "../data": must be a name'),
        (options(".."), 'volume "..": must be a name'),
        (options("a*"), 'volume "a*": must be a name'),
        (options('a"'), "escaped characters"),
        ("{}", 'volume "": must be a name'),
        ("", "a JSON object is expected"),
        ('{"a":1}', "strings are expected"),
        ('{"a":"b",}', "unexpected text after a"),
        ('{"a" : "b"}', "no value after a"),
        ('{"a":"' + 5000 * "x" + '"}', "longer than 4096"),
    ],
)
def test_a_hostile_or_broken_option_is_refused_with_a_reason(driver, given_options, message):
    for arguments in (
        ("attach", given_options, "node-1"),
        ("isattached", given_options, "node-1"),
        ("waitforattach", str(driver.device()), given_options),
        ("mountdevice", "/mounts/data", str(driver.device()), given_options),
    ):
        assert message in driver(*arguments)["message"]
    assert driver.where() == ["detached/data"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("attach", options(), "../node"),
        ("isattached", options(), ""),
        ("detach", "../data", "node-1"),
        ("detach", "data", ".."),
    ],
)
def test_names_that_no_cluster_has_are_refused(driver, arguments):
    assert "must be a name" in driver(*arguments)["message"]


@pytest.mark.parametrize("shell", SHELLS)
@settings(deadline=None)  # of starting programs, which a busy machine does slowly
@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
    fill=st.sampled_from(
        ["attach {} n", "detach {} ..", "unmountdevice x{}", "waitforattach / {}"]
    ),
)
@example(text='"\\\x7f\t\n%s*', fill="attach {} n")
def test_every_failure_is_valid_json(lasting, shell, text, fill):
    arguments = [word.format(text) for word in fill.split(" ")]
    assert call(lasting.driver, *arguments, shell=shell)["status"] == "Failure"


def test_every_call_is_one_line_of_the_log_with_what_came_of_it(driver):
    driver("attach", options(), "node-1")
    driver("detach", "da\nta\t\x7f\u00e9", "node-1")
    first, second = (line.split(" ", 1) for line in driver.log.read_text().splitlines())
    assert first[1] == (
        f'attach {options()} node-1 -> {{"status":"Success","device":"{driver.device()}"}}'
    )
    assert second[1].startswith('detach da?ta???? node-1 -> {"status":"Failure"')
    assert first[0] <= second[0]
    assert first[0].endswith("Z")
    assert driver.log.stat().st_mode & 0o777 == 0o600


def test_secrets_of_a_volume_do_not_reach_the_log(driver):
    driver("mount", "/volume", '{"kubernetes.io/secret/key":"aHVzaA=="}')
    assert driver.log.read_text().split(" ", 1)[1] == (
        'mount /volume {...} -> {"status":"Not supported"}\n'
    )


def test_a_log_that_cannot_be_written_fails_no_volume(driver):
    driver.settings(f"log={driver.folder}/missing/calls.log", f"pool={driver.pool}")
    assert driver("attach", options(), "node-1")["status"] == "Success"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("log=/dev/stdout", "must be a file"),
        ("log=/proc/self/fd/1", "must be a file"),
        ("log=calls.log", "is none of log=/FILE"),
        ("pool=/a/../b", "must not contain .."),
        ("pool=/a b", "only letters"),
        ("size=1", "is none of log=/FILE"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_is_done(driver, line, message):
    driver.settings(f"log={driver.log}", f"pool={driver.pool}", line)
    assert message in driver("attach", options(), "node-1")["message"]
    assert driver.where() == ["detached/data"]


# The kubelet's directory is often a symbolic link to another disk.
@needs_root
@pytest.mark.parametrize("kubelet", ["kubelet", "link"])
def test_what_one_node_writes_another_reads_and_nothing_stays_mounted(driver, kubelet):
    script = """
        for node in node-1 node-2; do
            "$driver" attach "$options" $node
            "$driver" mountdevice "$mounts" "$pool/attached/$node/data" "$options"
            "$driver" mountdevice "$mounts" "$pool/attached/$node/data" "$options"
            grep -c "$real/mounts/data" /proc/self/mountinfo >&2
            echo $node >> "$mounts/who"
            "$driver" unmountdevice "$mounts"
            "$driver" unmountdevice "$mounts"
            grep -c "$real/mounts/data" /proc/self/mountinfo >&2 || true
            "$driver" detach data $node
        done >/dev/null
        cat "$pool/detached/data/who"
    """
    (driver.folder / "kubelet").mkdir()
    (driver.folder / "link").symlink_to("kubelet")
    variables = {
        "driver": str(driver.driver),
        "pool": str(driver.pool),
        "real": str(driver.folder / "kubelet"),
        "mounts": str(driver.folder / kubelet / "mounts/data"),
        "options": options(),
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script],
        env=variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr.split() == ["1", "0", "1", "0"]
    assert done.stdout.split() == ["node-1", "node-2"]
