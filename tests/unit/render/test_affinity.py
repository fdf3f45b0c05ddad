from hypothesis import given
from hypothesis import strategies as st

from flexvolume_operator.assess.placement import Matcher
from flexvolume_operator.model.flexdriver import Affinity, Placement
from flexvolume_operator.model.objects import Node
from flexvolume_operator.render.affinity import on_machines

VIRTUAL = [{"type": "virtual-kubelet"}, {"eks.amazonaws.com/compute-type": "fargate"}]
LINUX = {"kubernetes.io/os": "linux"}
KEYS = st.sampled_from(["pool", "type", "zone"])
REQUIREMENT = st.fixed_dictionaries(
    {
        "key": KEYS,
        "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]),
        "values": st.lists(st.sampled_from(["a", "b", "5", "virtual-kubelet"]), max_size=2),
    }
)
TERM = st.fixed_dictionaries(
    {},
    optional={
        "matchExpressions": st.lists(REQUIREMENT, max_size=2),
        "matchFields": st.just([{"key": "metadata.name", "operator": "In", "values": ["n1"]}]),
    },
)
TERMS = st.lists(TERM, min_size=1, max_size=3)
LABELS = st.dictionaries(KEYS, st.sampled_from(["a", "b", "7", "virtual-kubelet"]))


def required(terms):
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
        }
    }


def selects(affinity, node):
    """Whether the selector alone takes the node."""
    placement = Placement(affinity=Affinity.model_validate(affinity))
    return Matcher(placement).match(node).matched


@given(TERMS, LABELS)
def test_ours_takes_away_virtual_nodes_and_nothing_else(terms, labels):
    wanted = required(terms)
    node = Node("n1", labels=LINUX | labels)
    ours = on_machines(Affinity.model_validate(wanted))
    machine = labels.get("type") != "virtual-kubelet"
    assert selects(ours, node) == (selects(wanted, node) and machine)


def test_without_terms_only_virtual_nodes_are_left_out():
    ours = on_machines(Affinity())
    assert selects(ours, Node("n1", labels=LINUX))
    assert not any(selects(ours, Node("n1", labels=LINUX | labels)) for labels in VIRTUAL)


def test_other_affinity_passes_through():
    anti = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}
    assert on_machines(Affinity(pod_anti_affinity=anti))["podAntiAffinity"] == anti


def test_the_spec_is_not_changed():
    affinity = Affinity.model_validate(required([{"matchExpressions": []}]))
    before = affinity.wire()
    on_machines(affinity)
    assert affinity.wire() == before
