"""What a sight of a node means, before any verdict: the words of the decision table."""

import re
from functools import cached_property
from typing import Final, Literal

from flexvolume_operator.model.flexnode import Install, State
from flexvolume_operator.model.objects import Container, Pod, Running, Terminated, Waiting
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.report import Report, parse_report
from flexvolume_operator.model.verdict import Sight, Target

Stage = Literal["tools", "install", "guard"]

NO_POD: Final = 15.0
# Nothing tells when a quota, a namespace or a right has changed: what was refused is tried again.
REFUSED_AGAIN: Final = 30.0
UNSCHEDULABLE: Final = 60.0
SILENT: Final = 60.0
SLOW_START: Final = 60.0
NO_START: Final = 120.0
IMAGE: Final = 30.0
GUARD: Final = 30.0
INSTALL_EXTRA: Final = 120.0

_PULL_ERRORS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    }
)
_CREATE_ERRORS: Final = frozenset(
    {
        "CreateContainerError",
        "CreateContainerConfigError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
    }
)
_VERDICTS: Final = frozenset({State.INSTALLED, State.OUTDATED, State.WOULD_INSTALL, State.FAILED})
# The kubelet's text while it waits to try again; from 1.32 the error itself follows.
_BACK_OFF: Final = re.compile(r"^Back-off pulling image .*?: (?:\w+: )?", re.DOTALL)


class Facts:
    """One target on one node at one moment.

    The stage "tools" is that of the pod's first container, whatever it is called.
    """

    def __init__(self, target: Target, sight: Sight) -> None:
        self.target = target
        self.sight = sight
        self.node = sight.node
        self.aim = sight.aim
        self.previous = sight.previous
        self.now = sight.now

    @cached_property
    def pod(self) -> Pod | None:
        """The pod that is there to stay."""
        pod = self.sight.pod
        return pod if pod is not None and not pod.deleted else None

    @cached_property
    def missing_for(self) -> float:
        """Seconds without a pod; one whose grace is over and that will not go counts as none."""
        leaving = self.sight.pod.deleted if self.sight.pod is not None else 0.0
        return self.now - (self.sight.missing_since or leaving or self.now)

    @cached_property
    def revision(self) -> str:
        """The revision that is being tried here."""
        return self.pod.revision if self.pod is not None else self.target.revision

    @property
    def current(self) -> bool:
        """What is being tried is what is wanted."""
        return self.revision == self.target.revision

    @cached_property
    def stage(self) -> Stage:
        """The container that the pod's progress depends on now."""
        pod = self.pod or Pod("")
        if not _begun(pod):
            return "tools"
        return "guard" if _succeeded(pod.install) else "install"

    @cached_property
    def container(self) -> Container:
        """The container of the stage."""
        container: Container = getattr(self.pod or Pod(""), self.stage)
        return container

    @cached_property
    def since(self) -> float:
        """When the stage's container could have run at the earliest, or last ended."""
        pod = self.pod or Pod("")
        before = {
            "tools": max(pod.sandbox_since, pod.started or pod.scheduling_since or pod.created),
            "install": self.install_since,
            "guard": _finished(pod.install.state),
        }[self.stage]
        own = max(_finished(self.container.state), _finished(self.container.last))
        return max(before, own) or pod.created

    @cached_property
    def install_since(self) -> float:
        """When install could have run at the earliest; 0.0 before that."""
        pod = self.pod or Pod("")
        if pod.entrypoint and _begun(pod):
            first = pod.tools.state
            return first.started_at if isinstance(first, Running) else pod.started
        return _finished(pod.tools.state)

    @property
    def waited(self) -> float:
        """Seconds since then."""
        return self.now - self.since

    @cached_property
    def waiting(self) -> Waiting:
        """Why the stage's container waits; empty when it does not."""
        state = self.container.state
        return state if isinstance(state, Waiting) else Waiting()

    @property
    def pull_error(self) -> bool:
        """Its image could not be pulled."""
        return self.waiting.reason in _PULL_ERRORS

    @property
    def create_error(self) -> bool:
        """It could not be made or started."""
        return self.waiting.reason in _CREATE_ERRORS

    @property
    def waiting_message(self) -> str:
        """The kubelet's text without the part that only says that it will try again."""
        return _BACK_OFF.sub("", self.waiting.message) or self.waiting.reason

    @cached_property
    def running_for(self) -> float:
        """Seconds that the stage's container has been running; negative while it does not."""
        state = self.container.state
        return self.now - state.started_at if isinstance(state, Running) else -1.0

    @property
    def install_limit(self) -> float:
        """Seconds after which a running install will not end any more."""
        return self.target.timeout_seconds + INSTALL_EXTRA

    @property
    def at_work_since(self) -> float:
        """Since when install works; until it was granted its turn, it only waited for that."""
        state = self.container.state
        started = state.started_at if isinstance(state, Running) else self.now
        return max(started, self.pod.granted if self.pod is not None else 0.0)

    @cached_property
    def waits(self) -> bool:
        """All is proven, and install waits for its turn to replace a foreign driver.

        Its second run waits in place, so that its word is to be found in what the first one left;
        after a reboot that may be lost, and only the entry tells it.
        """
        pod, report, previous = self.pod, self.any_report, self.previous
        if pod is None or pod.granted or self.stage != "install":
            return False
        if report is not None:
            return report.waits
        told = previous is not None and previous.reason == Reason.WAITING_FOR_ADOPTION
        same = previous is not None and previous.revision == self.revision
        return told and same and self.ended is None and self.running_for >= 0

    @property
    def adopting(self) -> bool:
        """It has got its turn and has not ended since."""
        pod, report = self.pod, self.any_report
        granted = pod is not None and bool(pod.granted) and self.stage == "install"
        return granted and report is not None and report.waits

    @cached_property
    def ended(self) -> Terminated | None:
        """The newest run of install that has ended in this pod."""
        install = self.pod.install if self.pod is not None else Container()
        return install.state if isinstance(install.state, Terminated) else install.last

    @property
    def mute(self) -> bool:
        """Install has ended, is not running again, and left nothing that can be read."""
        if self.ended is None or self.any_report is not None or self.stage == "tools":
            return False
        return self.stage == "guard" or self.crashing

    @property
    def crashing(self) -> bool:
        """The stage's container has ended and waits to be started again."""
        ended = isinstance(self.container.state, Terminated)
        return ended or self.waiting.reason == "CrashLoopBackOff"

    @cached_property
    def any_report(self) -> Report | None:
        """What that run left, of whatever boot."""
        report = parse_report(self.ended.message) if self.ended is not None else None
        return report if report is not None and report.component == "install" else None

    @cached_property
    def report(self) -> Report | None:
        """What that run left, if it ran on this boot of the node."""
        report = self.any_report
        return report if report is not None and self._this_boot(report.boot_id) else None

    @cached_property
    def guard_report(self) -> Report | None:
        """The guard's last report."""
        ended = self._guard_ended
        report = parse_report(ended.message) if ended is not None else None
        return report if report is not None and report.component == "guard" else None

    @property
    def guard_failed(self) -> bool:
        """The guard has given up on something since install was last content."""
        report = self.guard_report
        return report is not None and report.result != "Installed" and self._guard_ended_since

    @property
    def guard_down(self) -> bool:
        """The guard does not run now."""
        return self.running_for < 0

    @property
    def guard_trouble(self) -> str:
        """Why it does not, as far as anybody says."""
        ended = self._guard_ended
        code = f"it ended with exit code {ended.exit_code} {ended.reason}" if ended else ""
        return "; ".join(text for text in (code.strip(), self.waiting_message) if text)

    @property
    def guard_unsteady(self) -> bool:
        """The guard runs again after a crash, but not long enough to be believed.

        A guard that a reboot ended looks like one that crashed; but then install ran after it.
        """
        ended = self._guard_ended
        crashed = ended is not None and ended.exit_code != 0 and self._guard_ended_since
        return crashed and 0 <= self.running_for < GUARD

    @property
    def _guard_ended_since(self) -> bool:
        """The guard's last end came after install's, so it is this run of the pod that ended."""
        ended, install = self._guard_ended, self.ended
        if ended is None:
            return False
        return install is None or ended.finished_at >= install.finished_at

    @cached_property
    def _guard_ended(self) -> Terminated | None:
        guard = self.pod.guard if self.pod is not None else Container()
        return guard.state if isinstance(guard.state, Terminated) else guard.last

    @cached_property
    def carried(self) -> Install | None:
        """The stored entry, if it is a verdict about this revision on this boot."""
        previous = self.previous
        if previous is None or previous.revision != self.revision:
            return None
        if previous.state not in _VERDICTS:
            return None
        return previous if self._this_boot(previous.boot_id) else None

    @property
    def carried_good(self) -> bool:
        """The driver was verified before; also known from the pod itself after a lost entry."""
        if self.carried is not None:
            return self.carried.state is not State.FAILED
        return self.report is not None and self.report.result != "Failed"

    @property
    def tried(self) -> bool:
        """It was a dry run that went well, by this pod's word or else by the stored one."""
        if self.report is not None:
            return self.report.result == "WouldInstall"
        return self.carried is not None and self.carried.state is State.WOULD_INSTALL

    @property
    def verified_before(self) -> bool:
        """The stored entry says that this revision serves, whatever else is wrong."""
        previous = self.previous
        serves = previous is not None and previous.serving.revision == self.revision
        return previous is not None and serves and self._this_boot(previous.boot_id)

    @property
    def carried_guard(self) -> bool:
        """What is stored takes install's success for granted already."""
        carried = self.carried
        if carried is not None and carried.state is State.WOULD_INSTALL:
            return self.tried
        return carried is not None and (
            carried.state is not State.FAILED or carried.reason == Reason.GUARD_NOT_RUNNING
        )

    def _this_boot(self, boot_id: str) -> bool:
        return not boot_id or not self.node.boot_id or boot_id == self.node.boot_id


def _begun(pod: Pod) -> bool:
    """The first container has done its part, so that it is install's turn."""
    if not pod.entrypoint:
        return _succeeded(pod.tools)
    return isinstance(pod.tools.state, Running) or _has_run(pod.install)


def _has_run(container: Container) -> bool:
    return not isinstance(container.state, Waiting) or container.last is not None


def _succeeded(container: Container) -> bool:
    return isinstance(container.state, Terminated) and container.state.exit_code == 0


def _finished(state: object) -> float:
    return state.finished_at if isinstance(state, Terminated) else 0.0
