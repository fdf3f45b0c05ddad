"""The FlexNode entry that goes with an outcome: what is new in it, and what stays as it was."""

import re
from collections.abc import Iterable
from functools import lru_cache
from sys import intern
from typing import Final

from msgspec.structs import replace

from flexvolume_operator.assess.facts import Facts
from flexvolume_operator.model.flexnode import (
    MESSAGE_LIMIT,
    Install,
    Repairs,
    State,
    shared,
    shorten,
)
from flexvolume_operator.model.objects import Pod
from flexvolume_operator.model.report import Capabilities, Caution, Serving
from flexvolume_operator.model.times import rfc3339

_NUMBERS: Final = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*", re.IGNORECASE)


def entry(facts: Facts, state: State, reason: str, message: str) -> Install:
    """The entry for a state. It equals the previous one when nothing has changed that matters."""
    known = _known(facts)
    previous = facts.previous
    same_state = previous is not None and previous.state is state
    text = shorten(message, MESSAGE_LIMIT)
    if previous is not None and _only_numbers_differ(previous, known, reason, text):
        text = previous.message
    return replace(
        known,
        state=state,
        reason=str(reason),
        message=text,
        repairs=_repairs(facts),
        last_transition_time=(
            previous.last_transition_time
            if previous is not None and same_state
            else intern(rfc3339(facts.now))
        ),
    )


def _known(facts: Facts) -> Install:
    """What is known of the content: by this pod's report, else by the previous entry."""
    target, previous, report = facts.target, facts.previous, facts.report
    blank = Install(
        driver=target.flexdriver,
        role=target.role,
        path=target.path,
        state=State.PENDING,
        source=facts.aim.source,
        vendor=target.vendor,
        name=target.driver,
        revision=facts.revision,
    )
    if report is not None and facts.pod is not None:
        sha256 = intern(report.sha256)
        serving = _serving(report.serving.revision, report.serving.sha256)
        if report.result == "Installed" and not serving.sha256:
            serving = _serving(facts.revision, sha256)
        if facts.guard_failed and facts.guard_report is not None:
            left = facts.guard_report.serving
            serving = _serving(left.revision, left.sha256)
        known = _capabilities(report.capabilities)
        return replace(
            blank,
            sha256=sha256,
            serving=serving,
            capabilities=known or (previous.capabilities if previous is not None else None),
            interpreter=intern(report.interpreter),
            warnings=_warnings(report.warnings, previous),
            image=intern(_image(facts.pod).rpartition("://")[2]),
            boot_id=intern(report.boot_id or facts.node.boot_id),
        )
    if previous is None:
        return blank
    kept = replace(
        blank,
        serving=previous.serving,
        capabilities=previous.capabilities,
        interpreter=previous.interpreter,
        boot_id=previous.boot_id,
    )
    if previous.revision != facts.revision:
        return kept
    return replace(kept, sha256=previous.sha256, image=previous.image, warnings=previous.warnings)


def _image(pod: Pod) -> str:
    """Of the driver, which install runs in, or which comes before it and runs by itself."""
    return (pod.tools if pod.entrypoint else pod.install).image_id


def _warnings(told: Iterable[Caution], previous: Install | None) -> tuple[Caution, ...]:
    """What the report warns of, once each; as it was told before if only numbers differ."""
    by_reason = {caution.reason: caution for caution in told}
    found = tuple(by_reason[reason] for reason in sorted(by_reason))
    if previous is not None and _bare(found) == _bare(previous.warnings):
        return previous.warnings
    return shared(tuple(Caution(intern(c.reason), intern(c.message)) for c in found))


def _bare(warnings: Iterable[Caution]) -> list[tuple[str, str]]:
    return [(c.reason, _NUMBERS.sub("#", c.message)) for c in warnings]


def _repairs(facts: Facts) -> Repairs:
    """The guard counts from its pod's start; one that never restarted has reported nothing."""
    report = facts.guard_report
    if report is not None:
        return Repairs(report.repairs, report.last_repair)
    if facts.previous is None or (facts.pod is not None and facts.pod.guard.restarts == 0):
        return Repairs()
    return facts.previous.repairs


def _only_numbers_differ(previous: Install, known: Install, reason: str, text: str) -> bool:
    """Error texts carry ports, addresses, times and counts that differ with each attempt.

    Writing each of them would turn a node that fails at rest into one that is never at rest.
    """
    if previous.message == text or (previous.reason, previous.revision) != (reason, known.revision):
        return False
    return _NUMBERS.sub("#", previous.message) == _NUMBERS.sub("#", text)


@lru_cache(maxsize=4096)
def _serving(revision: str, sha256: str) -> Serving:
    return Serving(intern(revision), intern(sha256))


@lru_cache(maxsize=64)
def _capabilities(capabilities: Capabilities | None) -> Capabilities | None:
    return capabilities
