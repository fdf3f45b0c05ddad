"""Which nodes a DaemonSet takes, by the labels that say what is known of their directory."""

import pytest

from flexvolume_operator.assess.placement import Matcher
from flexvolume_operator.model.flexdriver import Affinity, Placement
from flexvolume_operator.model.names import CONTROLLER_MANAGER, directory_label
from flexvolume_operator.model.objects import Node
from flexvolume_operator.render.affinity import on_machines
from flexvolume_operator.render.gate import Place, gate

HERE, THERE = directory_label("/here"), directory_label("/there")
KEYS = ("plugin-dir", "kubelet-dir", "controller-manager-dir")
UNKNOWN: dict[str, str] = {}
KNOWN = {"plugin-dir": HERE, "kubelet-dir": HERE}
GUESSED = {"plugin-dir": HERE}
ELSEWHERE = {"plugin-dir": THERE, "kubelet-dir": THERE}
GUESSED_ELSEWHERE = {"plugin-dir": THERE}
CONTRADICTED = {"plugin-dir": HERE, "kubelet-dir": THERE}


def takes(place, labels, affinity=None):
    """Whether a pod of such a DaemonSet would run on a node with these labels."""
    wire = on_machines(affinity or Affinity(), gate(place))
    own = {f"flexvolume.io/{key}": value for key, value in labels.items()}
    node = Node("n1", labels={"kubernetes.io/os": "linux", "pool": "a"} | own)
    return Matcher(Placement(affinity=Affinity.model_validate(wire))).match(node).matched


@pytest.mark.parametrize(
    ("place", "taken"),
    [
        (Place("/here"), [KNOWN, GUESSED]),
        (Place("/here", force=True), [KNOWN, GUESSED, CONTRADICTED]),
        (Place("/here", override=True), [KNOWN, GUESSED, GUESSED_ELSEWHERE]),
        (
            Place("/here", override=True, force=True),
            [UNKNOWN, KNOWN, GUESSED, ELSEWHERE, GUESSED_ELSEWHERE, CONTRADICTED],
        ),
        (
            Place("/here", gated=False),
            [UNKNOWN, KNOWN, GUESSED, ELSEWHERE, GUESSED_ELSEWHERE, CONTRADICTED],
        ),
    ],
)
def test_a_pod_starts_where_the_directory_is_known_and_nobody_contradicts(place, taken):
    every = [UNKNOWN, KNOWN, GUESSED, ELSEWHERE, GUESSED_ELSEWHERE, CONTRADICTED]
    assert [labels for labels in every if takes(place, labels)] == [
        labels for labels in every if labels in taken
    ]


def test_of_controller_managers_their_own_label_counts():
    place = Place("/here", CONTROLLER_MANAGER)
    assert takes(place, {"controller-manager-dir": HERE})
    assert takes(place, {"controller-manager-dir": HERE, "plugin-dir": HERE})
    assert not takes(place, KNOWN)
    assert not takes(place, {"controller-manager-dir": THERE})


def test_apart_from_nodes_whose_kubelet_has_it_there():
    place = Place("/here", CONTROLLER_MANAGER, apart=True)
    assert takes(place, {"controller-manager-dir": HERE, "plugin-dir": THERE})
    assert takes(place, {"controller-manager-dir": HERE})
    assert not takes(place, {"controller-manager-dir": HERE, "plugin-dir": HERE})


def test_where_the_user_names_their_directory_every_one_of_them_has_it():
    place = Place("/here", CONTROLLER_MANAGER, override=True)
    assert takes(place, {"controller-manager-dir": THERE})
    assert not takes(place, KNOWN)


def test_the_users_own_terms_hold_beside_ours():
    def pool(value):
        term = {"matchExpressions": [{"key": "pool", "operator": "In", "values": [value]}]}
        required = {"nodeSelectorTerms": [term]}
        return Affinity.model_validate(
            {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        )

    assert takes(Place("/here"), KNOWN, pool("a"))
    assert takes(Place("/here"), GUESSED, pool("a"))
    assert not takes(Place("/here"), KNOWN, pool("b"))
    assert not takes(Place("/here"), UNKNOWN, pool("a"))
