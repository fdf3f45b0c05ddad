import pytest

from flexvolume_operator.assess.placement import Matcher, tolerates
from flexvolume_operator.model.flexdriver import Placement, Toleration
from flexvolume_operator.model.objects import Node, Taint
from flexvolume_operator.model.reasons import Reason

LINUX = {"kubernetes.io/os": "linux"}


def node(*taints, name="n1", **labels):
    keys = {key.replace("__", "/"): value for key, value in labels.items()}
    return Node(name, labels=LINUX | keys, taints=taints, ready=True)


def matcher(**placement):
    return Matcher(Placement.model_validate(placement))


def affine(*terms):
    selector = {"nodeSelectorTerms": list(terms)}
    return matcher(
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}
    )


def expression(operator, *values, key="pool"):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def test_every_linux_node_matches_by_default():
    tainted = node(Taint("dedicated", "gpu", "NoSchedule"), Taint("dying", "", "NoExecute"))
    assert matcher().match(tainted).matched


def test_a_node_selector_needs_every_label():
    wants = matcher(nodeSelector={"pool": "a", "zone": "z"})
    assert wants.match(node(pool="a", zone="z")).matched
    assert not wants.match(node(pool="a")).matched
    assert not wants.match(node(pool="b", zone="z")).matched


@pytest.mark.parametrize(
    ("operator", "values", "label", "matches"),
    [
        ("In", ["a", "b"], "b", True),
        ("In", ["a"], "b", False),
        ("In", ["a"], None, False),
        ("NotIn", ["a"], "b", True),
        ("NotIn", ["a"], "a", False),
        ("NotIn", ["a"], None, True),
        ("Exists", [], "", True),
        ("Exists", [], None, False),
        ("DoesNotExist", [], "a", False),
        ("DoesNotExist", [], None, True),
        ("Gt", ["5"], "6", True),
        ("Gt", ["5"], "5", False),
        ("Gt", ["5"], "x", False),
        ("Gt", ["-1"], None, False),
        ("Lt", ["5"], "-6", True),
        ("Lt", ["5"], "5", False),
        ("Lt", [], "5", False),
        ("Like", ["a"], "a", False),
    ],
)
def test_requirements_mean_what_the_scheduler_takes_them_to_mean(operator, values, label, matches):
    labels = {} if label is None else {"pool": label}
    assert affine(expression(operator, *values)).match(node(**labels)).matched is matches


def test_terms_are_alternatives_and_their_requirements_are_not():
    both = {
        "matchExpressions": [
            {"key": "pool", "operator": "In", "values": ["a"]},
            {"key": "zone", "operator": "Exists"},
        ]
    }
    wants = affine(both, expression("In", "c"))
    assert wants.match(node(pool="a", zone="z")).matched
    assert wants.match(node(pool="c")).matched
    assert not wants.match(node(pool="a")).matched


def test_a_term_without_requirements_matches_nothing():
    assert not affine({}).match(node()).matched
    assert not affine({"matchExpressions": []}).match(node()).matched


def test_nodes_can_be_named():
    field = {"key": "metadata.name", "operator": "In", "values": ["n7"]}
    wants = affine({"matchFields": [field]})
    assert wants.match(node(name="n7")).matched
    assert not wants.match(node(name="n8")).matched


@pytest.mark.parametrize(
    ("toleration", "taint", "tolerated"),
    [
        ({"operator": "Exists"}, Taint("k", "v", "NoExecute"), True),
        ({"key": "k", "operator": "Exists"}, Taint("k", "v", "NoSchedule"), True),
        ({"key": "x", "operator": "Exists"}, Taint("k", "v", "NoSchedule"), False),
        ({"key": "k", "value": "v"}, Taint("k", "v", "NoSchedule"), True),
        ({"key": "k", "operator": "Equal", "value": "w"}, Taint("k", "v", "NoSchedule"), False),
        ({"key": "k"}, Taint("k", "", "NoSchedule"), True),
        ({"key": "k", "value": "v", "effect": "NoExecute"}, Taint("k", "v", "NoSchedule"), False),
        ({"key": "k", "operator": "Gt", "value": "5"}, Taint("k", "6", "NoSchedule"), True),
        ({"key": "k", "operator": "Lt", "value": "5"}, Taint("k", "6", "NoSchedule"), False),
        ({"key": "k", "operator": "Like", "value": "v"}, Taint("k", "v", "NoSchedule"), False),
    ],
)
def test_tolerations_mean_what_the_scheduler_takes_them_to_mean(toleration, taint, tolerated):
    assert tolerates(Toleration.model_validate(toleration), taint) is tolerated


@pytest.mark.parametrize(
    ("key", "effect"),
    [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ],
)
def test_what_every_daemonset_tolerates_is_tolerated(key, effect):
    troubled = node(Taint(f"node.kubernetes.io/{key}", "", effect))
    assert matcher(tolerations=[]).match(troubled).matched


def test_a_taint_that_is_not_tolerated_keeps_pods_away():
    strict = matcher(tolerations=[])
    assert not strict.match(node(Taint("gpu", "", "NoSchedule"))).matched
    assert not strict.match(node(Taint("gpu", "", "NoExecute")), has_pod=True).matched
    assert strict.match(node(Taint("gpu", "", "PreferNoSchedule"))).matched


def test_a_pod_that_is_there_stays_under_a_new_no_schedule_taint():
    assert matcher(tolerations=[]).match(node(Taint("gpu", "", "NoSchedule")), has_pod=True).matched


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"kubernetes.io/os": "windows"}, Reason.UNSUPPORTED_OS),
        ({"kubernetes.io/os": ""}, Reason.UNSUPPORTED_OS),
        ({"type": "virtual-kubelet"}, Reason.VIRTUAL_NODE),
        ({"eks.amazonaws.com/compute-type": "fargate"}, Reason.VIRTUAL_NODE),
    ],
)
def test_a_node_that_can_never_have_it_is_unsupported(labels, reason):
    found = matcher().match(Node("n1", labels=LINUX | labels))
    assert (found.matched, found.unsupported) == (True, reason)


@pytest.mark.parametrize(
    ("arch", "reason"),
    [
        ("amd64", None),
        ("arm64", Reason.UNSUPPORTED_ARCHITECTURE),
        ("", Reason.UNSUPPORTED_ARCHITECTURE),
    ],
)
def test_a_machine_that_the_driver_is_not_built_for_is_unsupported(arch, reason):
    wants = Matcher(Placement(), ["amd64", "386"])
    machine = Node("n1", labels=LINUX | {"kubernetes.io/arch": arch})
    assert (wants.match(machine).matched, wants.match(machine).unsupported) == (True, reason)
    assert Matcher(Placement()).match(machine).unsupported is None


@pytest.mark.parametrize("selector", [{"pool": "a"}, {"kubernetes.io/os": "linux", "pool": "a"}])
def test_a_placement_that_does_not_mean_it_does_not_count_it(selector):
    windows = Node("w1", labels={"kubernetes.io/os": "windows"})
    assert not matcher(nodeSelector=selector).match(windows).matched


def test_a_placement_on_another_system_matches_nothing():
    windows = Node("w1", labels={"kubernetes.io/os": "windows"})
    wants = matcher(nodeSelector={"kubernetes.io/os": "windows"})
    assert not wants.match(windows).matched
    assert not wants.match(node()).matched
