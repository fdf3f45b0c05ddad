import json
import sys
from typing import Any

import pytest

from flexvolume_operator.model.objects import Running, Terminated, Waiting
from flexvolume_operator.model.wire import DAEMONSETS, NODES, PODS


def node(name="n1", beat="2026-01-01T00:00:00Z", **labels):
    """A Node as a busy one looks: most of it of no interest here."""
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "uid": f"u-{name}",
            "resourceVersion": beat,
            "labels": {f"label-{i}": f"value-{i}" for i in range(20)} | labels,
            "annotations": {f"annotation-{i}": "x" * 100 for i in range(10)},
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}] * 3,
        },
        "spec": {
            "unschedulable": True,
            "taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}],
        },
        "status": {
            "conditions": [
                {"type": "DiskPressure", "status": "False", "lastHeartbeatTime": beat},
                {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": beat},
            ],
            "images": [{"names": ["registry.example/" + "i" * 100], "sizeBytes": 1}] * 50,
            "nodeInfo": {
                "bootID": f"b-{name}",
                "kubeletVersion": "v1.36.3",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "osImage": "Debian",
                "machineID": "m",
            },
        },
    }


def encoded(value):
    return json.dumps(value).encode()


def test_a_node_keeps_what_decisions_need():
    value = NODES.one(encoded(node(pool="a")))
    assert (value.name, value.uid, value.ready) == ("n1", "u-n1", True)
    assert value.labels["pool"] == "a"
    assert [(t.key, t.value, t.effect) for t in value.taints] == [
        ("dedicated", "gpu", "NoSchedule")
    ]
    assert (value.boot_id, value.kubelet_version) == ("b-n1", "v1.36.3")


def test_a_heartbeat_is_no_change():
    assert NODES.one(encoded(node())) == NODES.one(encoded(node(beat="2026-01-01T00:05:00Z")))


def test_nodes_share_the_strings_that_repeat():
    one, two = NODES.one(encoded(node("a"))), NODES.one(encoded(node("b")))
    assert one.kubelet_version is two.kubelet_version
    assert one.taints[0] is two.taints[0]
    assert all(x is y for x, y in zip(one.labels, two.labels, strict=True))


def test_a_node_is_small_in_memory():
    value = NODES.one(encoded(node()))
    assert sys.getsizeof(value) + sys.getsizeof(value.labels) < 1500


def test_a_node_without_a_ready_condition_is_not_ready():
    assert not NODES.one(b'{"metadata": {"name": "new"}}').ready


def test_a_page_tells_where_to_go_on():
    page = NODES.page(
        encoded({"metadata": {"resourceVersion": "7", "continue": "c"}, "items": [node()]})
    )
    assert (len(page.items), page.resource_version, page.continue_token) == (1, "7", "c")
    assert NODES.page(b'{"metadata": {"resourceVersion": "7"}, "items": null}').items == []


def test_a_watch_line_carries_its_object():
    event = NODES.event(encoded({"type": "MODIFIED", "object": node()}))
    assert event.type == "MODIFIED"
    assert event.object == NODES.one(encoded(node()))
    assert event.resource_version == "2026-01-01T00:00:00Z"


def test_a_bookmark_carries_a_version_only():
    line = b'{"type": "BOOKMARK", "object": {"kind": "Node", "metadata": {"resourceVersion": "9"}}}'
    event = NODES.event(line)
    assert (event.object, event.resource_version) == (None, "9")


def test_an_error_carries_code_and_message():
    line = b'{"type":"ERROR","object":{"kind":"Status","metadata":{},"code":410,"message":"old"}}'
    event = NODES.event(line)
    assert (event.code, event.message, event.object) == (410, "old", None)


POD: dict[str, Any] = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": None,
        "labels": {"flexvolume.io/driver": "nfs", "flexvolume.io/revision": "r"},
        "annotations": {"flexvolume.io/template-hash": "h"},
    },
    "spec": {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchFields": [
                                {"key": "metadata.name", "operator": "In", "values": ["n7"]}
                            ]
                        }
                    ]
                }
            }
        }
    },
    "status": {
        "phase": "Pending",
        "startTime": "2026-01-01T00:00:01Z",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/1 nodes",
                "lastTransitionTime": "2026-01-01T00:00:02Z",
            },
            {
                "type": "PodReadyToStartContainers",
                "status": "False",
                "lastTransitionTime": "2026-01-01T00:00:05Z",
            },
        ],
        "initContainerStatuses": [
            {
                "name": "install",
                "imageID": "i@sha256:1",
                "restartCount": 2,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "m"}},
                "lastState": {
                    "terminated": {
                        "exitCode": 3,
                        "reason": "Error",
                        "message": "text",
                        "finishedAt": "2026-01-01T00:00:03Z",
                    }
                },
            }
        ],
        "containerStatuses": [
            {
                "name": "guard",
                "ready": True,
                "state": {"running": {"startedAt": "2026-01-01T00:00:04Z"}},
            }
        ],
    },
}
T0 = 1767225600.0


def test_a_pod_keeps_what_decisions_need():
    pod = PODS.one(encoded(POD))
    assert (pod.name, pod.namespace, pod.flexdriver, pod.revision) == ("p", "ns", "nfs", "r")
    assert (pod.template_hash, pod.created, pod.deleted, pod.started) == ("h", T0, 0.0, T0 + 1)
    assert pod.sandbox_since == T0 + 5
    assert not pod.scheduled
    assert (pod.scheduling_message, pod.scheduling_since) == ("0/1 nodes", T0 + 2)
    assert pod.install.state == Waiting("CrashLoopBackOff", "m")
    assert pod.install.last == Terminated(3, "Error", "text", T0 + 3)
    assert (pod.install.restarts, pod.install.image_id) == (2, "i@sha256:1")
    assert pod.guard.state == Running(T0 + 4)
    assert pod.tools.state == Waiting()


def test_a_pod_belongs_to_the_node_it_was_made_for_before_it_is_bound():
    assert PODS.one(encoded(POD)).node == "n7"


@pytest.mark.parametrize("name", ["n8"])
def test_a_bound_pod_belongs_to_its_node(name):
    bound = POD | {"spec": {"nodeName": name}}
    pod = PODS.one(encoded(bound))
    assert (pod.node, pod.scheduled) == (name, True)


@pytest.mark.parametrize(
    ("annotations", "granted"),
    [
        ({}, 0.0),
        ({"flexvolume.io/adopt": "false"}, 0.0),
        ({"flexvolume.io/adopt-since": "2026-01-01T00:00:09Z"}, 0.0),
        ({"flexvolume.io/adopt": "true"}, T0),
        (
            {"flexvolume.io/adopt": "true", "flexvolume.io/adopt-since": "2026-01-01T00:00:09Z"},
            T0 + 9,
        ),
    ],
)
def test_a_pod_has_its_turn_since_it_was_granted(annotations, granted):
    metadata = POD["metadata"] | {"annotations": annotations}
    assert PODS.one(encoded(POD | {"metadata": metadata})).granted == granted


def test_an_image_that_runs_by_itself_is_the_first_container():
    running = {"running": {"startedAt": "2026-01-01T00:00:04Z"}}
    first = {"name": "entrypoint", "imageID": "i@sha256:2", "state": running}
    status = POD["status"] | {"initContainerStatuses": [first]}
    pod = PODS.one(encoded(POD | {"status": status}))
    assert (pod.entrypoint, pod.tools.state, pod.tools.image_id) == (
        True, Running(T0 + 4), "i@sha256:2",
    )  # fmt: skip
    assert not PODS.one(encoded(POD)).entrypoint


def test_a_daemonset_keeps_what_tells_whether_it_is_the_one_asked_for():
    manifest = {
        "metadata": {
            "name": "d",
            "generation": 2,
            "resourceVersion": "5",
            "labels": {"flexvolume.io/driver": "nfs"},
            "annotations": {"flexvolume.io/template-hash": "h"},
            "ownerReferences": [{"kind": "FlexDriver", "name": "nfs", "uid": "u"}],
        },
        "status": {"observedGeneration": 1},
    }
    daemonset = DAEMONSETS.one(encoded(manifest))
    assert not daemonset.settled
    assert (daemonset.flexdriver, daemonset.template_hash) == ("nfs", "h")
    assert daemonset.owner_uids == ("u",)


def test_a_daemonset_keeps_who_owns_parts_of_its_spec_besides_our_applies():
    def owner(manager, operation="Update", part="f:spec", **others):
        said = {"manager": manager, "operation": operation, "fieldsV1": {part: {}}}
        return said | others

    owners = [
        owner("flexvolume-operator", "Apply"),
        owner("kube-controller-manager", subresource="status"),
        owner("labeller", part="f:metadata"),
        owner("kubectl-edit"),
        owner("argocd", "Apply"),
        owner("flexvolume-operator"),
    ]
    manifest = {"metadata": {"name": "d", "managedFields": owners}}
    editors = ("argocd", "flexvolume-operator", "kubectl-edit")
    assert DAEMONSETS.one(encoded(manifest)).editors == editors
    assert DAEMONSETS.of(manifest) == DAEMONSETS.one(encoded(manifest))
