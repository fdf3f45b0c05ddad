"""Nodes, pods and reports in the shapes that a cluster shows them, for the tests of pure code."""

from typing import Any

import msgspec

from flexvolume_operator.assess.table import assess
from flexvolume_operator.model import names
from flexvolume_operator.model.directory import Aim
from flexvolume_operator.model.flexdriver import FlexDriver, parse_flexdriver
from flexvolume_operator.model.flexnode import Install, State
from flexvolume_operator.model.objects import Container, Node, Pod, Running, Terminated, Waiting
from flexvolume_operator.model.report import Capabilities, Report, Serving
from flexvolume_operator.model.verdict import Match, Sight, Target, Verdict

NOW = 1_800_000_000.0
OLD, NEW = "0000000old", "0000000new"
BOOT = "boot-1"
SHA = "a" * 64
CAPABILITIES = Capabilities(attach=False, fs_group=True, selinux_relabel=True)
PLUGIN_DIR = names.DEFAULT_PLUGIN_DIR
TARGET = Target(
    flexdriver="nfs",
    role=names.KUBELET,
    child="nfs-kubelet-dir",
    vendor="example.com",
    driver="nfs",
    plugin_dir=PLUGIN_DIR,
    path=names.driver_path(PLUGIN_DIR, "example.com", "nfs"),
    revision=NEW,
    template="t-new",
    template_hash="h-new",
    timeout_seconds=30,
    namespace="flexvolume-installers",
)
AIM = Aim(PLUGIN_DIR, "Kubelet", PLUGIN_DIR)
NODE = Node(
    name="n1",
    uid="u-n1",
    labels={"kubernetes.io/os": "linux"},
    ready=True,
    boot_id=BOOT,
    operating_system="linux",
)
INSTALLED = Install(
    driver="nfs",
    role=names.KUBELET,
    path=TARGET.path,
    source="Kubelet",
    vendor="example.com",
    name="nfs",
    state=State.INSTALLED,
    revision=NEW,
    image="registry.example/nfs@sha256:1",
    sha256=SHA,
    serving=Serving(NEW, SHA),
    capabilities=CAPABILITIES,
    boot_id=BOOT,
    last_transition_time="2026-01-01T00:00:00Z",
)
FAILED = msgspec.structs.replace(
    INSTALLED, state=State.FAILED, reason="InitFailed", message="no", serving=Serving(OLD, "b" * 64)
)


def flexdriver(name: str = "nfs", *, generation: int = 1, **spec: Any) -> FlexDriver:
    """A FlexDriver as parsed, with `spec` in wire names over the least that is required."""
    least = {"vendor": "example.com", "driver": "nfs", "image": "registry.example/nfs:1"}
    return parse_flexdriver(
        {
            "apiVersion": names.API_VERSION,
            "kind": "FlexDriver",
            "metadata": {"name": name, "uid": f"u-{name}", "generation": generation},
            "spec": least | spec,
        }
    )


def report(result: str = "Installed", **fields: Any) -> str:
    """The text of an install's report; `fields` by their names in Report."""
    known: dict[str, Any] = {"boot_id": BOOT, "revision": NEW, "sha256": SHA}
    if result == "Installed":
        known |= {"capabilities": CAPABILITIES, "serving": Serving(NEW, SHA)}
    elif result == "WouldInstall":
        known |= {"capabilities": CAPABILITIES}
    else:
        known |= {"reason": "InitFailed", "message": "exit status 1"}
    merged: dict[str, Any] = {"component": "install"} | known | fields
    return msgspec.json.encode(Report(v=1, result=result, **merged)).decode()  # type: ignore[arg-type]


def guard_report(result: str = "Installed", **fields: Any) -> str:
    """The text of a guard's report."""
    return report(result, component="guard", **fields)


def ended(code: int = 0, message: str = "", *, ago: float = 100.0, reason: str = "") -> Terminated:
    """A container that ended `ago` seconds before NOW."""
    return Terminated(code, reason, message, NOW - ago)


def running(ago: float = 100.0) -> Running:
    """A container that started `ago` seconds before NOW."""
    return Running(NOW - ago)


DONE = Container(state=ended(ago=110.0))
RUNNING_GUARD = Container(state=running(), ready=True)


def pod(**fields: Any) -> Pod:
    """A pod of the wanted revision, by default bound and taken up but with no container started."""
    known: dict[str, Any] = {
        "name": "nfs-kubelet-abc",
        "namespace": "flexvolume-installers",
        "uid": "p1",
        "node": "n1",
        "role": names.KUBELET,
        "revision": NEW,
        "template": "t-new",
        "template_hash": "h-new",
        "created": NOW - 120,
        "phase": "Pending",
        "scheduled": True,
        "scheduling_since": NOW - 120,
        "started": NOW - 120,
    }
    return Pod(**(known | fields))


def installing(install: Container, **fields: Any) -> Pod:
    """A pod whose tools are done and whose install is as given."""
    return pod(tools=DONE, install=install, **fields)


def done(message: str | None = None, guard: Container = RUNNING_GUARD, **fields: Any) -> Pod:
    """A pod whose install ended well with a report, and whose guard is as given."""
    text = report() if message is None else message
    install = Container(state=ended(0, text, ago=105.0), image_id="docker.io/nfs@sha256:1")
    return pod(tools=DONE, install=install, guard=guard, phase="Running", **fields)


def failing(message: str | None = None, **fields: Any) -> Pod:
    """A pod whose install ended badly with a report and waits to be tried again."""
    text = report("Failed") if message is None else message
    waiting = Waiting("CrashLoopBackOff", "back-off 5m0s restarting failed container")
    return installing(Container(state=waiting, last=ended(3, text)), **fields)


def adopting(granted: float = 0.0, install: Container | None = None, **fields: Any) -> Pod:
    """A pod whose first run of install wants to replace a foreign driver; the second waits."""
    known = {"reason": "ForeignDriverPresent", "message": "another driver lies there"}
    text = report("Failed", waits=True, capabilities=CAPABILITIES, **known)
    second = Container(state=running(5000), last=ended(3, text, ago=5010), restarts=1)
    return installing(install or second, granted=granted, **fields)


def entrypoint(image: Container, **fields: Any) -> Pod:
    """A pod whose first container is an image that copies its driver by itself."""
    return pod(entrypoint=True, tools=image, **fields)


def waiting(reason: str, message: str = "", last: Terminated | None = None) -> Container:
    """A container that waits."""
    return Container(state=Waiting(reason, message), last=last)


def sight(seen: Pod | None = None, previous: Install | None = None, **fields: Any) -> Sight:
    """A sight of a Ready node at NOW."""
    known: dict[str, Any] = {"node": NODE, "match": Match(matched=True), "now": NOW, "aim": AIM}
    return Sight(pod=seen, previous=previous, **(known | fields))


def verdict(seen: Pod | None = None, previous: Install | None = None, **fields: Any) -> Verdict:
    """The table's verdict on such a sight."""
    target = fields.pop("target", TARGET)
    return assess(target, sight(seen, previous, **fields))
