"""What follows from a row of the decision table: the state, its reason, and words for people.

Conditions that a row asks stand here too where they are more than one fact.
"""

from typing import NamedTuple

from flexvolume_operator.assess import facts as limits
from flexvolume_operator.assess.facts import Facts
from flexvolume_operator.assess.refusal import refused
from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.names import ANNOTATION_FORCE_PLUGIN_DIR, LABEL_ARCHITECTURE
from flexvolume_operator.model.objects import Container, Pod, Running, Terminated
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.report import Report
from flexvolume_operator.model.times import parse
from flexvolume_operator.model.verdict import Needs


class Outcome(NamedTuple):
    """What a row says; see Verdict for all but the first three."""

    state: State
    reason: str = ""
    message: str = ""
    settled: bool = True
    recheck_at: float | None = None
    needs: Needs = Needs.NOTHING
    waits: bool = False


def failed(reason: Reason, message: str) -> Outcome:
    return Outcome(State.FAILED, reason, message)


def not_yet(
    facts: Facts,
    reason: Reason,
    message: str,
    recheck_at: float | None = None,
    needs: Needs = Needs.NOTHING,
) -> Outcome:
    """Keep the stored verdict, or wait for the first one."""
    carried = facts.carried
    if facts.carried_good:
        state, reason_, message_ = verified(facts)[:3]
    elif carried is not None:
        state, reason_, message_ = carried.state, carried.reason, carried.message
    else:
        state, reason_, message_ = State.PENDING, reason, message
    return Outcome(state, reason_, message_, settled=False, recheck_at=recheck_at, needs=needs)


def verified(facts: Facts) -> Outcome:
    """The driver of the pod's revision works: is that the revision that is wanted?"""
    if facts.tried:
        return Outcome(State.WOULD_INSTALL)
    if facts.current:
        return Outcome(State.INSTALLED)
    if facts.target.suspended:
        return Outcome(State.OUTDATED, Reason.SUSPENDED, "spec.suspend holds the update.")
    return Outcome(
        State.OUTDATED,
        Reason.WAITING_FOR_ROLLOUT,
        "An older revision serves; the rollout has not come to this node yet.",
    )


def reported(report: Report | None) -> Outcome:
    if report is None:
        return failed(Reason.INSTALL_CRASHED, "The node program left no report.")
    message = report.message
    if report.owner and report.owner not in message:
        message = f"{message} (FlexDriver {report.owner})".strip()
    return Outcome(State.FAILED, report.reason or Reason.INSTALL_CRASHED, message)


def no_pod(facts: Facts) -> bool:
    return facts.pod is None


def unsupported(facts: Facts) -> Outcome:
    reason = facts.sight.match.unsupported or Reason.UNSUPPORTED_OS
    system = facts.node.operating_system or "not known"
    architecture = facts.node.labels.get(LABEL_ARCHITECTURE) or "not known"
    message = {
        Reason.VIRTUAL_NODE: "Not a machine: no host to install on.",
        Reason.UNSUPPORTED_ARCHITECTURE: f"The architecture is {architecture}, which "
        "spec.requirements.architectures does not have.",
    }.get(reason, f"The operating system is {system}.")
    return Outcome(State.UNSUPPORTED, reason, message)


def not_ready(facts: Facts) -> Outcome:
    why = f" ({facts.node.ready_reason})" if facts.node.ready_reason else ""
    return Outcome(
        State.UNKNOWN, Reason.NODE_NOT_READY, f"The node is not Ready{why}; its state is not known."
    )


def directory_unknown(_facts: Facts) -> Outcome:
    message = "The kubelet is asked for its volume plugin directory."
    return Outcome(State.PENDING, Reason.DIRECTORY_UNKNOWN, message, settled=False)


_SET_BY = {"Override": "spec.pluginDir", "Pool": "The operator's pool table"}


def directory_mismatch(facts: Facts) -> Outcome:
    aim = facts.aim
    return failed(
        Reason.DIRECTORY_MISMATCH,
        f"{_SET_BY.get(aim.source, aim.source)} says {aim.path}, but the kubelet of this node "
        f"looks into {aim.word}: leave the directory out or set it to that one; the annotation "
        f"{ANNOTATION_FORCE_PLUGIN_DIR} on the FlexDriver insists on it.",
    )


def waiting_for_pod(facts: Facts) -> Outcome:
    leaving = facts.sight.pod
    message = (
        f"The old pod {leaving.name} is being deleted."
        if leaving is not None
        else "The DaemonSet controller has not made a pod yet."
    )
    overdue = facts.missing_for >= limits.NO_POD
    if not overdue:
        at = facts.now - facts.missing_for + limits.NO_POD
        return not_yet(facts, Reason.WAITING_FOR_POD, message, at)
    return Outcome(
        State.PENDING,
        Reason.WAITING_FOR_POD,
        message,
        settled=False,
        recheck_at=facts.now + limits.NO_POD,
        needs=Needs.DAEMONSET_EVENTS,
    )


def not_admitted(facts: Facts) -> Outcome:
    message = refused("The pod is not admitted", facts.sight.rejected, facts.target.namespace)
    at = facts.now + limits.REFUSED_AGAIN
    return failed(Reason.POD_REJECTED, message)._replace(
        recheck_at=at, needs=Needs.DAEMONSET_EVENTS
    )


def is_held(facts: Facts) -> bool:
    """Nothing of this revision is here, and suspension says that nothing is to come."""
    kept = facts.carried is not None and facts.missing_for < limits.NO_POD
    return no_pod(facts) and facts.target.suspended and not facts.verified_before and not kept


def held(_facts: Facts) -> Outcome:
    message = "spec.suspend holds the installation."
    return Outcome(State.PENDING, Reason.SUSPENDED, message, settled=False)


def refused_by_kubelet(facts: Facts) -> Outcome:
    pod = facts.pod or Pod("")
    said = " ".join(text for text in (pod.reason, pod.message) if text) or "no reason given"
    message = refused("The kubelet refused the pod", said, facts.target.namespace)
    return failed(Reason.POD_REJECTED, message)


def unscheduled_until(facts: Facts) -> float:
    pod = facts.pod or Pod("")
    return (pod.scheduling_since or pod.created) + limits.UNSCHEDULABLE


def unscheduled(facts: Facts) -> bool:
    return facts.pod is not None and not facts.pod.scheduled


def scheduling_message(facts: Facts) -> str:
    return (facts.pod.scheduling_message if facts.pod else "") or "The scheduler has not said why."


def silent(facts: Facts) -> bool:
    pod = facts.pod
    untouched = pod is not None and not pod.started and pod.tools == Container()
    return untouched and facts.waited >= limits.SILENT


def container_name(facts: Facts) -> str:
    """The container of the stage; an image that copies its driver by itself comes first."""
    by_itself = facts.pod is not None and facts.pod.entrypoint
    return "entrypoint" if by_itself and facts.stage == "tools" else facts.stage


def image_name(facts: Facts) -> str:
    by_itself = facts.pod is not None and facts.pod.entrypoint
    drivers = facts.stage == ("tools" if by_itself else "install")
    whose = "the driver's image" if drivers else "the installer image"
    return f"{whose} (container {container_name(facts)})"


def image_pull_failed(facts: Facts) -> Outcome:
    return failed(
        Reason.IMAGE_PULL_FAILED, f"Cannot pull {image_name(facts)}: {facts.waiting_message}"
    )


def container_create_failed(facts: Facts) -> Outcome:
    return failed(
        Reason.CONTAINER_CREATE_FAILED,
        f"Cannot start container {container_name(facts)}: {facts.waiting_message}",
    )


def in_trouble(facts: Facts) -> Outcome:
    """An image or container error too young to be believed."""
    reason = Reason.PULLING_IMAGE if facts.pull_error else Reason.POD_STARTING
    message = f"Container {container_name(facts)}: {facts.waiting_message}"
    return not_yet(facts, reason, message, facts.since + limits.IMAGE)


_OOM_KILLED = "OOMKilled"


def crash(facts: Facts) -> Outcome:
    first = facts.stage == "tools"
    name = container_name(facts) if first else "install"
    state = facts.container.state
    ended = facts.container.last if first else facts.ended
    ended = state if first and isinstance(state, Terminated) else ended
    if ended is not None and ended.reason == _OOM_KILLED:
        whose = "guard" if name == "tools" else "install"
        # With cgroup v2 a kubelet lets the kernel kill install together with the driver's init.
        return failed(
            Reason.INIT_OOM_KILLED if name == "install" else Reason.INSTALL_CRASHED,
            f"Container {name} came to its memory limit and was killed ({_OOM_KILLED}): raise "
            f"spec.resources.{whose}.limits.memory.",
        )
    what = f"exit code {ended.exit_code} {ended.reason}".strip() if ended else "no exit code"
    said = f": {ended.message}" if ended and ended.message else ""
    return failed(Reason.INSTALL_CRASHED, f"Container {name} ended without a report ({what}){said}")


def starting(facts: Facts) -> Outcome:
    message = "The kubelet is starting the pod."
    if facts.waited < limits.SLOW_START:
        return not_yet(facts, Reason.POD_STARTING, message, facts.since + limits.SLOW_START)
    message = facts.sight.warning or message
    at = facts.now + limits.SLOW_START
    return not_yet(facts, Reason.POD_STARTING, message, at, Needs.POD_EVENTS)


def waiting_for_adoption(facts: Facts) -> Outcome:
    report, previous = facts.any_report, facts.previous
    message = report.message if report is not None else previous.message if previous else ""
    return Outcome(State.PENDING, Reason.WAITING_FOR_ADOPTION, message, waits=True)


def overdue(facts: Facts) -> bool:
    """Install has been at work for longer than it may."""
    running = facts.stage == "install" and facts.running_for >= 0
    return running and facts.now - facts.at_work_since >= facts.install_limit


def failed_by_its_word(facts: Facts) -> bool:
    """Install has failed, and not only to have its turn, which has come since."""
    report = facts.report
    return report is not None and report.result == "Failed" and not facts.adopting


def install_timeout(facts: Facts) -> Outcome:
    return failed(
        Reason.INSTALL_TIMEOUT,
        f"Container install has been running for more than {facts.install_limit:.0f} s, though its "
        f"own limit for the driver is {facts.target.timeout_seconds} s.",
    )


def install_under_way(facts: Facts) -> Outcome:
    message = "The driver is being checked and published."
    if isinstance(facts.container.state, Running):
        return not_yet(facts, Reason.INSTALLING, message, facts.at_work_since + facts.install_limit)
    if facts.adopting:
        return not_yet(facts, Reason.INSTALLING, message, facts.now + limits.NO_POD)
    message = f"Waiting for {image_name(facts)}."
    return not_yet(facts, Reason.PULLING_IMAGE, message)


def crashed(facts: Facts) -> bool:
    """There is no verdict to keep, or it has been crashing for longer than it may run."""
    if not facts.mute:
        return False
    if facts.stage == "guard":
        return not (facts.verified_before or facts.guard_failed)
    return facts.carried is None or facts.now - facts.install_since >= facts.install_limit


def reboot_deadline(facts: Facts) -> float:
    previous = facts.previous
    waiting = previous is not None and previous.reason == Reason.NODE_REBOOTED
    began = parse(previous.last_transition_time) if previous is not None and waiting else 0.0
    return (began or facts.now) + facts.install_limit


def rebooted(facts: Facts) -> bool:
    return facts.report is None and facts.any_report is not None and facts.stage == "guard"


def not_verified_since_boot(facts: Facts) -> Outcome:
    return failed(
        Reason.INSTALL_TIMEOUT,
        f"The node has rebooted, and the driver was not checked again within "
        f"{facts.install_limit:.0f} s.",
    )


def reboot_pending(facts: Facts) -> Outcome:
    return Outcome(
        State.PENDING,
        Reason.NODE_REBOOTED,
        "The node has rebooted; the driver has to be checked again.",
        settled=False,
        recheck_at=reboot_deadline(facts),
    )


def guard_not_running(facts: Facts) -> Outcome:
    why = facts.guard_trouble or "the kubelet has not said why"
    return failed(
        Reason.GUARD_NOT_RUNNING, f"The driver serves, but its guard is not running: {why}"
    )


def guard_starting(facts: Facts) -> Outcome:
    at = (facts.since if facts.guard_down else facts.now - facts.running_for) + limits.GUARD
    if facts.carried_guard:
        return not_yet(facts, Reason.GUARD_STARTING, "", at)
    message = "The driver is installed; its guard is starting."
    return Outcome(State.PENDING, Reason.GUARD_STARTING, message, settled=False, recheck_at=at)
