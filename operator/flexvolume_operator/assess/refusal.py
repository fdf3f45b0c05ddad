"""What to do about an installer pod that nobody lets in, told by the words of the refusal.

PodRejected has as many remedies as clusters have gate-keepers, and the one who reads it has often
not set up any of them. So the server's words, which name who says no, are followed by the one thing
that helps against that; where they are long it is they that are cut.
"""

import re
from typing import Final, NamedTuple

from flexvolume_operator.model.flexnode import SAMPLE_LIMIT, shorten
from flexvolume_operator.model.names import SERVICE_ACCOUNT
from flexvolume_operator.model.reasons import Reason, remedy


class Cause(NamedTuple):
    """One kind of refusal: who it is, a pattern of its words, and what to do in `{namespace}`."""

    who: str
    words: str
    remedy: str


CAUSES: Final = (
    Cause(
        "Pod Security",
        r"violates PodSecurity",
        "label namespace {namespace} with pod-security.kubernetes.io/enforce=privileged",
    ),
    Cause(
        "ResourceQuota",
        r"exceeded quota|status unknown for quota|insufficient quota to consume",
        "raise or delete that ResourceQuota in namespace {namespace}",
    ),
    Cause(
        "ResourceQuota that counts requests or limits",
        r"failed quota",
        "set what it asks for in spec.resources.install and spec.resources.guard",
    ),
    Cause(
        "quota for a priority class",
        r"insufficient quota to match these scopes",
        "give namespace {namespace} a ResourceQuota whose scopeSelector names the PriorityClass, "
        "or set spec.placement.priorityClassName to another one",
    ),
    Cause(
        "priority class",
        r"no PriorityClass with name",
        "create it, or set spec.placement.priorityClassName to one that exists",
    ),
    Cause(
        "LimitRange",
        r"(minimum|maximum) \S+ usage per|max limit to request ratio per",
        "change that LimitRange in namespace {namespace}, or set spec.resources to fit it",
    ),
    Cause(
        "service account",
        r"error looking up service account",
        f"create ServiceAccount {SERVICE_ACCOUNT} in namespace {{namespace}}, as the chart does",
    ),
    Cause(
        "OpenShift's SCCs",
        r"unable to validate against any security context constraint",
        f"let ServiceAccount {SERVICE_ACCOUNT} of namespace {{namespace}} use the SCC privileged",
    ),
    Cause(
        "webhook that does not answer",
        r"failed calling webhook",
        "mend that webhook, or exempt namespace {namespace} from it",
    ),
    Cause(
        "policy or webhook",
        r"denied (the )?request",
        "exempt namespace {namespace} from it, or set what it asks for in spec.podMetadata, "
        "spec.resources or spec.placement",
    ),
    Cause(
        "kubelet, a full node",
        r"OutOf[a-z-]+|low on resource",
        "make room on the node, or lower spec.resources",
    ),
)

# What differs from attempt to attempt, as the pod's name does, is no news.
_PREFIX: Final = re.compile(r'^(Error creating: )?([Pp]ods? "[^"]*" is (forbidden|invalid): )?')


def refused(what: str, words: str, namespace: str) -> str:
    """The message about a refusal of a pod: what happened, in whose words, and what to do."""
    text = _PREFIX.sub("", words)
    found = next((c.remedy for c in CAUSES if re.search(c.words, text)), "")
    advice = found.format(namespace=namespace) or remedy(Reason.POD_REJECTED)
    tail = f"; {advice}"
    return shorten(f"{what}: {text}", SAMPLE_LIMIT - len(tail)) + tail
