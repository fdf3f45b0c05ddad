"""Whether the controller-managers can use a driver, and what to change where they cannot.

Only drivers that attach need this. A controller-manager that does not see the driver leaves pods
waiting without a word: no event, and in its log nothing that anybody reads.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from flexvolume_operator.assess.conditions import Condition, ManagerReady
from flexvolume_operator.model.directory import ControllerManager
from flexvolume_operator.model.flexdriver import ControllerManagerSpec
from flexvolume_operator.model.flexnode import Install, State
from flexvolume_operator.model.names import DEFAULT_PLUGIN_DIR
from flexvolume_operator.model.reasons import ManagerReason

# Of images of this name it is known that they hold nothing else: no shell, no C library.
_BARE_IMAGE: Final = "kube-controller-manager"
_VOLUME: Final = "flexvolume-dir"

_NOBODY: Final = (
    "No kube-controller-manager is visible, as in managed clusters: whether it has the driver, and "
    "so whether volumes can be attached, is not known."
)
_NOT_SEEN: Final = (
    "part of the control plane, but its kube-controller-manager is not visible; set "
    "spec.controllerManager.pluginDir or the operator's --flex-volume-plugin-dir."
)
_NEVER: Final = "nothing is installed, as spec.controllerManager.policy is Never."
_DRY_RUN: Final = "nothing is installed, as spec.dryRun is true."
_UNDER_WAY: Final = "the driver is being installed for kube-controller-manager."
_HIDDEN: Final = "what kube-controller-manager sees of it in its container is not visible."


class Seat(NamedTuple):
    """One controller-manager: its node, what is known of it, and the driver's entry for it.

    `kubelet_dir` is where the driver is for the node's kubelet, empty if it is not.
    """

    node: str
    manager: ControllerManager
    install: Install | None
    kubelet_dir: str


class _Finding(NamedTuple):
    """What is true of one of them; `rank` orders them, the worst first."""

    rank: int
    status: str
    reason: ManagerReason
    message: str
    moving: bool = False


def wants(spec: ControllerManagerSpec, *, attach: bool) -> bool:
    """Whether the driver is to be installed for controller-managers."""
    return spec.policy == "Always" or (spec.policy == "Auto" and attach)


def places(
    spec: ControllerManagerSpec,
    managers: Mapping[str, ControllerManager],
    kubelet_dirs: Mapping[str, str],
) -> dict[str, str]:
    """The directory to install into by node, but where the kubelet's installation serves both."""
    wanted = {
        name: spec.plugin_dir or manager.host_path or (manager.path if _hidden(manager) else "")
        for name, manager in managers.items()
    }
    return {
        name: path for name, path in wanted.items() if path and path != kubelet_dirs.get(name, "")
    }


def ready(spec: ControllerManagerSpec, seats: Iterable[Seat]) -> ManagerReady:
    """What is to be said of a driver that attaches."""
    findings = sorted((_find(spec, seat) for seat in seats), key=lambda f: (f.rank, f.message))
    if not findings:
        return _said(_Finding(2, "Unknown", ManagerReason.NOT_VISIBLE, _NOBODY))
    worst = findings[0]
    others = len([f for f in findings if f.reason == worst.reason]) - 1
    more = f" (and on {others} more)" if others else ""
    return _said(worst._replace(message=worst.message + more))


def _said(finding: _Finding) -> ManagerReady:
    condition = Condition("ControllerManagerReady", finding.status, finding.reason, finding.message)
    return ManagerReady(condition, finding.moving)


def _find(spec: ControllerManagerSpec, seat: Seat) -> _Finding:
    """The first row of this table that applies."""
    node, manager, install, _ = seat
    state = install.state if install is not None else State.PENDING
    serves = state in (State.INSTALLED, State.OUTDATED)
    said = f"{install.reason}: {install.message}" if install is not None else ""
    rows = (
        (
            not manager.source and not spec.plugin_dir,
            _Finding(2, "Unknown", ManagerReason.NOT_VISIBLE, f"{node}: {_NOT_SEEN}"),
        ),
        (
            manager.source == "Pod" and not manager.host_path and not spec.plugin_dir,
            _Finding(0, "False", ManagerReason.PLUGIN_DIR_NOT_MOUNTED, _to_mount(seat)),
        ),
        (
            spec.policy == "Never" and not serves,
            _Finding(2, "Unknown", ManagerReason.POLICY_NEVER, f"{node}: {_NEVER}"),
        ),
        (
            state is State.WOULD_INSTALL,
            _Finding(2, "Unknown", ManagerReason.DRY_RUN, f"{node}: {_DRY_RUN}"),
        ),
        (
            state in (State.PENDING, State.REMOVING),
            _Finding(1, "False", ManagerReason.PROGRESSING, f"{node}: {_UNDER_WAY}", moving=True),
        ),
        (
            state is State.UNKNOWN,
            _Finding(2, "Unknown", ManagerReason.NODE_NOT_READY, f"{node}: {said}"),
        ),
        (not serves, _Finding(0, "False", ManagerReason.INSTALL_FAILED, f"{node}: {said}")),
    )
    found = next((finding for applies, finding in rows if applies), None)
    return found or _runnable(seat)


def _runnable(seat: Seat) -> _Finding:
    """The file is there: can it be executed where the controller-manager is?"""
    node, manager, install, _ = seat
    interpreter = install.interpreter if install is not None else ""
    if interpreter and _is_bare(manager.image):
        return _Finding(
            0,
            "False",
            ManagerReason.DRIVER_NOT_RUNNABLE,
            f"{node}: the driver needs {interpreter}, and the image {manager.image} holds nothing "
            "but kube-controller-manager: build the driver as a static program, or run "
            "kube-controller-manager from an image that has what it needs.",
        )
    path = install.path if install is not None else ""
    if _hidden(manager):
        text = f"{node}: the driver lies at {path}; {_HIDDEN}"
        return _Finding(2, "Unknown", ManagerReason.NOT_VISIBLE, text)
    text = f"{node}: the driver lies where kube-controller-manager looks: {path}."
    return _Finding(3, "True", ManagerReason.INSTALLED, text)


def _to_mount(seat: Seat) -> str:
    """What to add to the manifest, as it has to stand there."""
    manager = seat.manager
    path = manager.path if manager.flag else seat.kubelet_dir or DEFAULT_PLUGIN_DIR
    flag = "" if path == manager.path else f"the flag --flex-volume-plugin-dir={path}, "
    return (
        f"{seat.node}: no directory of the node is mounted at {manager.path}, where "
        f"kube-controller-manager looks. Add to its manifest: {flag}the volume "
        f"{{name: {_VOLUME}, hostPath: {{path: {path}, type: DirectoryOrCreate}}}} and the mount "
        f"{{name: {_VOLUME}, mountPath: {path}, readOnly: true}}."
    )


def _hidden(manager: ControllerManager) -> bool:
    """It runs in a container, and what that sees of the node nobody tells."""
    return manager.source == "Process" and manager.process.container


def _is_bare(image: str) -> bool:
    name = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return name.startswith(_BARE_IMAGE)
