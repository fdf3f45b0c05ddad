"""The decision table: what is true of one driver on one node.

Rows are tried from the top and the first whose condition holds decides. Order is the whole point:
a row may take for granted that none above it hit. Nothing else in the operator decides a state.

No flapping: a pod whose sandbox was replaced starts all over while the driver it once verified
still lies there. So a row that only says "not yet" keeps a stored verdict on the same revision and
the same boot of the node, until the pod says something new or a deadline passes.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from flexvolume_operator.assess import facts as limits
from flexvolume_operator.assess.entry import entry
from flexvolume_operator.assess.facts import Facts
from flexvolume_operator.assess.refusal import refused
from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.objects import Container, Pod, Running, Terminated
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.report import Report
from flexvolume_operator.model.times import parse
from flexvolume_operator.model.verdict import Needs, Sight, Target, Verdict


class Outcome(NamedTuple):
    """What a row says; see Verdict for the last three."""

    state: State
    reason: str = ""
    message: str = ""
    settled: bool = True
    recheck_at: float | None = None
    needs: Needs = Needs.NOTHING


class Row(NamedTuple):
    """One row: its name, when it applies, and what follows."""

    name: str
    when: Callable[[Facts], bool]
    then: Callable[[Facts], Outcome]


def assess(target: Target, sight: Sight) -> Verdict:
    """The verdict on a node that the placement matches."""
    facts = Facts(target, sight)
    row = next(row for row in ROWS if row.when(facts))
    outcome = row.then(facts)
    return Verdict(
        install=entry(facts, outcome.state, outcome.reason, outcome.message),
        row=row.name,
        node_ready=facts.node.ready,
        node_uid=facts.node.uid,
        pod=sight.pod,
        settled=outcome.settled,
        recheck_at=outcome.recheck_at,
        needs=outcome.needs,
    )


def choose_pod(pods: Iterable[Pod]) -> Pod | None:
    """The pod that counts where there are several: one that stays before one that goes."""
    return max(pods, key=lambda p: (not p.deleted, p.created, p.uid), default=None)


def _failed(reason: Reason, message: str) -> Outcome:
    return Outcome(State.FAILED, reason, message)


def _not_yet(
    facts: Facts,
    reason: Reason,
    message: str,
    recheck_at: float | None = None,
    needs: Needs = Needs.NOTHING,
) -> Outcome:
    """Keep the stored verdict, or wait for the first one."""
    carried = facts.carried
    if facts.carried_good:
        state, reason_, message_ = _verified(facts)[:3]
    elif carried is not None:
        state, reason_, message_ = carried.state, carried.reason, carried.message
    else:
        state, reason_, message_ = State.PENDING, reason, message
    return Outcome(state, reason_, message_, settled=False, recheck_at=recheck_at, needs=needs)


def _verified(facts: Facts) -> Outcome:
    """The driver of the pod's revision works: is that the revision that is wanted?"""
    if facts.current:
        return Outcome(State.INSTALLED)
    if facts.target.suspended:
        return Outcome(State.OUTDATED, Reason.SUSPENDED, "spec.suspend holds the update.")
    return Outcome(
        State.OUTDATED,
        Reason.WAITING_FOR_ROLLOUT,
        "An older revision serves; the rollout has not come to this node yet.",
    )


def _reported(report: Report | None) -> Outcome:
    if report is None:
        return _failed(Reason.INSTALL_CRASHED, "The node program left no report.")
    message = report.message
    if report.owner and report.owner not in message:
        message = f"{message} (FlexDriver {report.owner})".strip()
    return Outcome(State.FAILED, report.reason or Reason.INSTALL_CRASHED, message)


def _no_pod(facts: Facts) -> bool:
    return facts.pod is None


def _unsupported(facts: Facts) -> Outcome:
    reason = facts.sight.match.unsupported
    if reason is Reason.VIRTUAL_NODE:
        return Outcome(State.UNSUPPORTED, reason, "Not a machine: no host to install on.")
    system = facts.node.operating_system or "not known"
    return Outcome(
        State.UNSUPPORTED, reason or Reason.UNSUPPORTED_OS, f"The operating system is {system}."
    )


def _not_ready(facts: Facts) -> Outcome:
    why = f" ({facts.node.ready_reason})" if facts.node.ready_reason else ""
    return Outcome(
        State.UNKNOWN, Reason.NODE_NOT_READY, f"The node is not Ready{why}; its state is not known."
    )


def _waiting_for_pod(facts: Facts) -> Outcome:
    leaving = facts.sight.pod
    message = (
        f"The old pod {leaving.name} is being deleted."
        if leaving is not None
        else "The DaemonSet controller has not made a pod yet."
    )
    overdue = facts.missing_for >= limits.NO_POD
    if not overdue:
        at = facts.now - facts.missing_for + limits.NO_POD
        return _not_yet(facts, Reason.WAITING_FOR_POD, message, at)
    return Outcome(
        State.PENDING,
        Reason.WAITING_FOR_POD,
        message,
        settled=False,
        recheck_at=facts.now + limits.NO_POD,
        needs=Needs.DAEMONSET_EVENTS,
    )


def _not_admitted(facts: Facts) -> Outcome:
    message = refused("The pod is not admitted", facts.sight.rejected, facts.target.namespace)
    at = facts.now + limits.REFUSED_AGAIN
    return _failed(Reason.POD_REJECTED, message)._replace(
        recheck_at=at, needs=Needs.DAEMONSET_EVENTS
    )


def _is_held(facts: Facts) -> bool:
    """Nothing of this revision is here, and suspension says that nothing is to come."""
    kept = facts.carried is not None and facts.missing_for < limits.NO_POD
    return _no_pod(facts) and facts.target.suspended and not facts.verified_before and not kept


def _held(_facts: Facts) -> Outcome:
    message = "spec.suspend holds the installation."
    return Outcome(State.PENDING, Reason.SUSPENDED, message, settled=False)


def _refused_by_kubelet(facts: Facts) -> Outcome:
    pod = facts.pod or Pod("")
    said = " ".join(text for text in (pod.reason, pod.message) if text) or "no reason given"
    message = refused("The kubelet refused the pod", said, facts.target.namespace)
    return _failed(Reason.POD_REJECTED, message)


def _unscheduled_until(facts: Facts) -> float:
    pod = facts.pod or Pod("")
    return (pod.scheduling_since or pod.created) + limits.UNSCHEDULABLE


def _unscheduled(facts: Facts) -> bool:
    return facts.pod is not None and not facts.pod.scheduled


def _scheduling_message(facts: Facts) -> str:
    return (facts.pod.scheduling_message if facts.pod else "") or "The scheduler has not said why."


def _silent(facts: Facts) -> bool:
    pod = facts.pod
    untouched = pod is not None and not pod.started and pod.tools == Container()
    return untouched and facts.waited >= limits.SILENT


def _container_name(facts: Facts) -> str:
    return {
        "tools": "the installer image (container tools)",
        "install": "the driver's image (container install)",
        "guard": "the installer image (container guard)",
    }[facts.stage]


def _image_pull_failed(facts: Facts) -> Outcome:
    return _failed(
        Reason.IMAGE_PULL_FAILED, f"Cannot pull {_container_name(facts)}: {facts.waiting_message}"
    )


def _container_create_failed(facts: Facts) -> Outcome:
    return _failed(
        Reason.CONTAINER_CREATE_FAILED,
        f"Cannot start container {facts.stage}: {facts.waiting_message}",
    )


def _in_trouble(facts: Facts) -> Outcome:
    """An image or container error too young to be believed."""
    reason = Reason.PULLING_IMAGE if facts.pull_error else Reason.POD_STARTING
    message = f"Container {facts.stage}: {facts.waiting_message}"
    return _not_yet(facts, reason, message, facts.since + limits.IMAGE)


def _crash(facts: Facts) -> Outcome:
    name = "tools" if facts.stage == "tools" else "install"
    state = facts.container.state
    ended = facts.ended if name == "install" else facts.container.last
    ended = state if name == "tools" and isinstance(state, Terminated) else ended
    what = f"exit code {ended.exit_code} {ended.reason}".strip() if ended else "no exit code"
    said = f": {ended.message}" if ended and ended.message else ""
    return _failed(
        Reason.INSTALL_CRASHED, f"Container {name} ended without a report ({what}){said}"
    )


def _starting(facts: Facts) -> Outcome:
    message = "The kubelet is starting the pod."
    if facts.waited < limits.SLOW_START:
        return _not_yet(facts, Reason.POD_STARTING, message, facts.since + limits.SLOW_START)
    message = facts.sight.warning or message
    at = facts.now + limits.SLOW_START
    return _not_yet(facts, Reason.POD_STARTING, message, at, Needs.POD_EVENTS)


def _install_timeout(facts: Facts) -> Outcome:
    return _failed(
        Reason.INSTALL_TIMEOUT,
        f"Container install has been running for more than {facts.install_limit:.0f} s, though its "
        f"own limit for the driver is {facts.target.timeout_seconds} s.",
    )


def _install_under_way(facts: Facts) -> Outcome:
    state = facts.container.state
    if isinstance(state, Running):
        at = state.started_at + facts.install_limit
        message = "The driver is being checked and published."
        return _not_yet(facts, Reason.INSTALLING, message, at)
    return _not_yet(facts, Reason.PULLING_IMAGE, "The driver's image is being pulled.")


def _crashed(facts: Facts) -> bool:
    """There is no verdict to keep, or it has been crashing for longer than it may run."""
    if not facts.mute:
        return False
    if facts.stage == "guard":
        return not (facts.verified_before or facts.guard_failed)
    tools = facts.pod.tools.state if facts.pod is not None else None
    began = tools.finished_at if isinstance(tools, Terminated) else 0.0
    return facts.carried is None or facts.now - began >= facts.install_limit


def _reboot_deadline(facts: Facts) -> float:
    previous = facts.previous
    waiting = previous is not None and previous.reason == Reason.NODE_REBOOTED
    began = parse(previous.last_transition_time) if previous is not None and waiting else 0.0
    return (began or facts.now) + facts.install_limit


def _rebooted(facts: Facts) -> bool:
    return facts.report is None and facts.any_report is not None and facts.stage == "guard"


def _not_verified_since_boot(facts: Facts) -> Outcome:
    return _failed(
        Reason.INSTALL_TIMEOUT,
        f"The node has rebooted, and the driver was not checked again within "
        f"{facts.install_limit:.0f} s.",
    )


def _reboot_pending(facts: Facts) -> Outcome:
    return Outcome(
        State.PENDING,
        Reason.NODE_REBOOTED,
        "The node has rebooted; the driver has to be checked again.",
        settled=False,
        recheck_at=_reboot_deadline(facts),
    )


def _guard_not_running(facts: Facts) -> Outcome:
    why = facts.guard_trouble or "the kubelet has not said why"
    return _failed(
        Reason.GUARD_NOT_RUNNING, f"The driver serves, but its guard is not running: {why}"
    )


def _guard_starting(facts: Facts) -> Outcome:
    at = (facts.since if facts.guard_down else facts.now - facts.running_for) + limits.GUARD
    if facts.carried_guard:
        return _not_yet(facts, Reason.GUARD_STARTING, "", at)
    message = "The driver is installed; its guard is starting."
    return Outcome(State.PENDING, Reason.GUARD_STARTING, message, settled=False, recheck_at=at)


ROWS: Final = (
    Row(
        "deleting",
        lambda f: f.target.deleting,
        lambda _: Outcome(State.REMOVING, Reason.DRIVER_DELETED, "The FlexDriver is deleted."),
    ),
    Row("unsupported", lambda f: f.sight.match.unsupported is not None, _unsupported),
    Row("node-not-ready", lambda f: not f.node.ready, _not_ready),
    Row("held", _is_held, _held),
    Row(
        "pod-rejected",
        lambda f: _no_pod(f) and bool(f.sight.rejected) and f.missing_for >= limits.NO_POD,
        _not_admitted,
    ),
    Row("no-pod", _no_pod, _waiting_for_pod),
    Row(
        "pod-refused", lambda f: f.pod is not None and f.pod.phase == "Failed", _refused_by_kubelet
    ),
    Row(
        "unschedulable",
        lambda f: _unscheduled(f) and f.now >= _unscheduled_until(f),
        lambda f: _failed(Reason.UNSCHEDULABLE, _scheduling_message(f)),
    ),
    Row(
        "unscheduled",
        _unscheduled,
        lambda f: _not_yet(
            f, Reason.POD_STARTING, "The pod waits to be scheduled.", _unscheduled_until(f)
        ),
    ),
    Row(
        "node-silent",
        _silent,
        lambda _: Outcome(
            State.UNKNOWN, Reason.NODE_SILENT, "The kubelet has not taken up the pod."
        ),
    ),
    Row(
        "image-pull-failed", lambda f: f.pull_error and f.waited >= limits.IMAGE, _image_pull_failed
    ),
    Row(
        "container-create-failed",
        lambda f: f.create_error and f.waited >= limits.IMAGE,
        _container_create_failed,
    ),
    Row("container-trouble", lambda f: f.pull_error or f.create_error, _in_trouble),
    Row("tools-crashed", lambda f: f.stage == "tools" and f.crashing, _crash),
    Row(
        "not-starting",
        lambda f: f.stage == "tools" and bool(f.sight.warning) and f.waited >= limits.NO_START,
        lambda f: _failed(Reason.POD_NOT_STARTING, f.sight.warning),
    ),
    Row("starting", lambda f: f.stage == "tools", _starting),
    Row(
        "install-timeout",
        lambda f: f.stage == "install" and f.running_for >= f.install_limit,
        _install_timeout,
    ),
    Row(
        "install-failed",
        lambda f: f.report is not None and f.report.result == "Failed",
        lambda f: _reported(f.report),
    ),
    Row("install-crashed", _crashed, _crash),
    Row("installing", lambda f: f.stage == "install", _install_under_way),
    Row(
        "not-verified-since-boot",
        lambda f: _rebooted(f) and f.now >= _reboot_deadline(f),
        _not_verified_since_boot,
    ),
    Row("rebooted", _rebooted, _reboot_pending),
    Row("guard-failed", lambda f: f.guard_failed, lambda f: _reported(f.guard_report)),
    Row(
        "guard-not-running",
        lambda f: f.guard_down and f.waited >= limits.GUARD,
        _guard_not_running,
    ),
    Row("guard-starting", lambda f: f.guard_down or f.guard_unsteady, _guard_starting),
    Row("verified", lambda _: True, _verified),
)
