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
from flexvolume_operator.assess import outcomes as o
from flexvolume_operator.assess.entry import entry
from flexvolume_operator.assess.facts import Facts
from flexvolume_operator.assess.outcomes import Outcome
from flexvolume_operator.model.flexnode import State
from flexvolume_operator.model.objects import Pod
from flexvolume_operator.model.reasons import Reason
from flexvolume_operator.model.verdict import Sight, Target, Verdict


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
        target=target,
        aim=sight.aim,
        install=entry(facts, outcome.state, outcome.reason, outcome.message),
        row=row.name,
        node_ready=facts.node.ready,
        node_uid=facts.node.uid,
        pod=sight.pod,
        settled=outcome.settled,
        waits=outcome.waits,
        recheck_at=outcome.recheck_at,
        needs=outcome.needs,
    )


def choose_pod(pods: Iterable[Pod]) -> Pod | None:
    """The pod that counts where there are several: one that stays before one that goes."""
    return max(pods, key=lambda p: (not p.deleted, p.created, p.uid), default=None)


ROWS: Final = (
    Row(
        "deleting",
        lambda f: f.target.deleting,
        lambda _: Outcome(State.REMOVING, Reason.DRIVER_DELETED, "The FlexDriver is deleted."),
    ),
    Row("unsupported", lambda f: f.sight.match.unsupported is not None, o.unsupported),
    Row("node-not-ready", lambda f: not f.node.ready, o.not_ready),
    Row("directory-unknown", lambda f: f.aim.doubt == "Unknown", o.directory_unknown),
    Row("directory-mismatch", lambda f: f.aim.doubt == "Mismatch", o.directory_mismatch),
    Row("held", o.is_held, o.held),
    Row(
        "pod-rejected",
        lambda f: o.no_pod(f) and bool(f.sight.rejected) and f.missing_for >= limits.NO_POD,
        o.not_admitted,
    ),
    Row("no-pod", o.no_pod, o.waiting_for_pod),
    Row(
        "pod-refused", lambda f: f.pod is not None and f.pod.phase == "Failed", o.refused_by_kubelet
    ),
    Row(
        "unschedulable",
        lambda f: o.unscheduled(f) and f.now >= o.unscheduled_until(f),
        lambda f: o.failed(Reason.UNSCHEDULABLE, o.scheduling_message(f)),
    ),
    Row(
        "unscheduled",
        o.unscheduled,
        lambda f: o.not_yet(
            f, Reason.POD_STARTING, "The pod waits to be scheduled.", o.unscheduled_until(f)
        ),
    ),
    Row(
        "node-silent",
        o.silent,
        lambda _: Outcome(
            State.UNKNOWN, Reason.NODE_SILENT, "The kubelet has not taken up the pod."
        ),
    ),
    Row(
        "image-pull-failed",
        lambda f: f.pull_error and f.waited >= limits.IMAGE,
        o.image_pull_failed,
    ),
    Row(
        "container-create-failed",
        lambda f: f.create_error and f.waited >= limits.IMAGE,
        o.container_create_failed,
    ),
    Row("container-trouble", lambda f: f.pull_error or f.create_error, o.in_trouble),
    Row("tools-crashed", lambda f: f.stage == "tools" and f.crashing, o.crash),
    Row(
        "not-starting",
        lambda f: f.stage == "tools" and bool(f.sight.warning) and f.waited >= limits.NO_START,
        lambda f: o.failed(Reason.POD_NOT_STARTING, f.sight.warning),
    ),
    Row("starting", lambda f: f.stage == "tools", o.starting),
    Row("waiting-for-adoption", lambda f: f.waits, o.waiting_for_adoption),
    Row("install-timeout", o.overdue, o.install_timeout),
    Row("install-failed", o.failed_by_its_word, lambda f: o.reported(f.report)),
    Row("install-crashed", o.crashed, o.crash),
    Row("installing", lambda f: f.stage == "install", o.install_under_way),
    Row(
        "not-verified-since-boot",
        lambda f: o.rebooted(f) and f.now >= o.reboot_deadline(f),
        o.not_verified_since_boot,
    ),
    Row("rebooted", o.rebooted, o.reboot_pending),
    Row("guard-failed", lambda f: f.guard_failed, lambda f: o.reported(f.guard_report)),
    Row(
        "guard-not-running",
        lambda f: f.guard_down and f.waited >= limits.GUARD,
        o.guard_not_running,
    ),
    Row("guard-starting", lambda f: f.guard_down or f.guard_unsteady, o.guard_starting),
    Row("verified", lambda _: True, o.verified),
)
