"""Who refused a pod is known by the words, as API servers, kubelets and policy engines say them."""

import re

import pytest

from flexvolume_operator.assess.refusal import CAUSES, refused
from flexvolume_operator.model.flexnode import SAMPLE_LIMIT
from flexvolume_operator.model.reasons import remedy

CREATING = 'Error creating: pods "nfs-kubelet-1ac0e113-tz89n" is forbidden: '
SPACE = "flexvolume-installers"

# Each with the words that say what to do.
SAID = {
    'violates PodSecurity "baseline:latest": hostPath volumes (volumes "host", "plugins"), '
    'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t")': (
        "Pod Security",
        f"label namespace {SPACE} with pod-security.kubernetes.io/enforce=privileged",
    ),
    "exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0": (
        "ResourceQuota",
        f"raise or delete that ResourceQuota in namespace {SPACE}",
    ),
    "failed quota: compute: must specify limits.cpu for: guard,install,tools": (
        "ResourceQuota that counts requests or limits",
        "spec.resources.install and spec.resources.guard",
    ),
    "insufficient quota to match these scopes: [{PriorityClass In [system-node-critical "
    "system-cluster-critical]}]": ("quota for a priority class", "scopeSelector"),
    "no PriorityClass with name nowhere was found": (
        "priority class",
        "create it, or set spec.placement.priorityClassName to one that exists",
    ),
    "minimum cpu usage per Container is 50m, but request is 10m": (
        "LimitRange",
        f"change that LimitRange in namespace {SPACE}",
    ),
    "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000": (
        "LimitRange",
        "set spec.resources",
    ),
    "error looking up service account flexvolume-installers/flexvolume-installer: serviceaccount "
    '"flexvolume-installer" not found': (
        "service account",
        "create ServiceAccount flexvolume-installer",
    ),
    'unable to validate against any security context constraint: [provider "anyuid": Forbidden: '
    "not usable by user or serviceaccount]": ("OpenShift's SCCs", "use the SCC privileged"),
    'Internal error occurred: failed calling webhook "a.example": failed to call webhook: Post '
    '"https://a.example": no endpoints available': (
        "webhook that does not answer",
        f"exempt namespace {SPACE} from it",
    ),
    'admission webhook "a.example" denied the request: images must be signed': (
        "policy or webhook",
        "spec.podMetadata",
    ),
    "ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no host paths": (
        "policy or webhook",
        f"exempt namespace {SPACE}",
    ),
    "Evicted The node was low on resource: memory. Threshold quantity: 100Mi, available: 64Mi.": (
        "kubelet, a full node",
        "lower spec.resources",
    ),
    "OutOfcpu Node didn't have enough resource: cpu, requested: 11, used: 2, capacity: 2": (
        "kubelet, a full node",
        "make room on the node",
    ),
}


@pytest.mark.parametrize("words", SAID)
def test_the_servers_words_are_followed_by_what_helps(words):
    who, advice = SAID[words]
    text = refused("The pod is not admitted", CREATING + words, SPACE)
    assert text.startswith(f"The pod is not admitted: {words}; ")
    assert advice in text.removeprefix(f"The pod is not admitted: {words}; ")
    assert [c.who for c in CAUSES if re.search(c.words, words)] == [who]


def test_every_cause_has_an_example():
    assert {who for who, _ in SAID.values()} == {cause.who for cause in CAUSES}


def test_words_that_nobody_knows_are_followed_by_the_general_remedy():
    text = refused("The pod is not admitted", "Error creating: computer says no", SPACE)
    assert text == f"The pod is not admitted: computer says no; {remedy('PodRejected')}"


def test_of_long_words_the_end_is_cut_and_never_the_remedy():
    text = refused("The pod is not admitted", "exceeded quota: " + "x" * 2000, SPACE)
    assert len(text) == SAMPLE_LIMIT
    assert text.endswith(f"xxx...; raise or delete that ResourceQuota in namespace {SPACE}")


def test_the_next_attempt_at_the_same_pod_is_no_news():
    said = "exceeded quota: none, requested: pods=1"
    first, second = (
        refused("x", f'Error creating: pods "nfs-kubelet-{name}" is forbidden: {said}', SPACE)
        for name in ("tz89n", "x4k2p")
    )
    assert first == second
