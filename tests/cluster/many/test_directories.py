"""Every node's own directory, at 500 nodes whose kubelets answer in all the ways there are.

The kubelets are the testbed's: real sockets with TLS, each pool with a port of its own.
"""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed import fakekubelets, plugindir
from testbed.api import connect
from testbed.fakekubelets import Answer
from tests.support.clusters import nodeless
from tests.support.kit import INSTALLERS, condition, flexdriver, until
from tests.support.operator import Operator, changes, log_end

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

DEFAULT = plugindir.DEFAULT.rstrip("/")
VAR, ODD = "/var/lib/kubelet/volumeplugins", "/opt/with space/" + "x" * 236
# Pool: how many nodes, at which port, and what is answered there.
POOLS = {
    "default": (280, fakekubelets.PORT, Answer()),
    "var": (120, 10301, Answer(VAR)),
    "odd": (42, 10302, Answer(ODD + "/")),
    "slow": (2, 10304, Answer(ODD, manner="slow", seconds=4)),
    "strange": (4, 10303, Answer(VAR, manner="wrong-certificate")),
}
# What a FlexNode says of a kubelet that tells nothing.
UNHELPFUL = {
    "unauthorized": (Answer(status=401), "Unauthorized"),
    "forbidden": (Answer(status=403), "Forbidden"),
    "missing": (Answer(status=404), "NotServed"),
    "disabled": (Answer(status=405), "NotServed"),
    "failing": (Answer(status=500), "ServerError"),
    "closing": (Answer(manner="closes-connection"), "Unreachable"),
    "hanging": (Answer(manner="hang"), "TimedOut"),
    "huge": (Answer(manner="huge"), "InvalidAnswer"),
    "fieldless": (Answer(manner="no-field"), "InvalidAnswer"),
    "lying": (Answer(manner="not-json"), "InvalidAnswer"),
    "null": (Answer(manner="null"), "InvalidAnswer"),
    "plain": (Answer(manner="plain-http"), "Unreachable"),
    "redirecting": (Answer(manner="redirect"), "InvalidAnswer"),
    "relative": (Answer("volumeplugins"), "InvalidAnswer"),
    "down": (None, "Unreachable"),
}
EACH = 3
GUESSED = EACH * len(UNHELPFUL)
TOTAL = sum(count for count, _, _ in POOLS.values()) + GUESSED


@pytest.fixture(scope="module")
def cluster():
    """One of its own: to take 500 nodes away one by one takes longer than a new one.

    A kubelet that was silent is asked again, and on a busy machine 500 that are kept alive by one
    process may all seem to be.
    """
    with nodeless("tests-directories", node_grace=600) as kit:
        yield kit


@pytest.fixture(scope="module")
def process(cluster, tmp_path_factory):
    found = Operator(cluster, tmp_path_factory.mktemp("operator"))
    yield found
    found.kill()


@pytest.fixture(scope="module")
def layout(cluster):
    return cluster.cluster.layout


@pytest.fixture(scope="module")
def pools(cluster, layout):
    """The names of the nodes of each pool."""
    ports = {name: 10400 + number for number, name in enumerate(UNHELPFUL)}
    kinds = POOLS | {name: (EACH, ports[name], answer) for name, (answer, _) in UNHELPFUL.items()}
    cluster.cluster.fake_nodes(0)
    fakekubelets.serve(layout, {port: answer for _, port, answer in kinds.values()})

    def made(name):
        count, port, _ = kinds[name]
        return cluster.cluster.fake_nodes(count, pool=name, port=port)

    with ThreadPoolExecutor() as pool:
        return dict(zip(kinds, pool.map(made, kinds), strict=True))


@pytest.fixture(scope="module")
def installed(cluster, process, layout, pools):
    """The status of a FlexDriver, Ready on all of them; nobody told the operator anything."""
    process.start()
    fakekubelets.forget(layout)
    cluster.apply(flexdriver("everywhere"))
    status = cluster.until_ready("everywhere", timeout=150)
    yield status
    cluster.delete("flexdriver", "everywhere")


def flexnodes(cluster):
    return {found["metadata"]["name"]: found["status"] for found in cluster.list("flexnodes")}


def asked(layout):
    """How many times each port was asked for something."""
    found = fakekubelets.asked(layout)
    return {port: sum(request.count for request in requests) for port, requests in found.items()}


def test_each_pool_is_a_group_with_a_daemonset_of_its_own(cluster, installed):
    assert installed["summary"] == f"{TOTAL}/{TOTAL}"
    assert {entry["path"]: entry["nodes"] for entry in installed["pluginDirs"]} == {
        DEFAULT: 280 + GUESSED,
        VAR: 124,
        ODD: 44,
    }
    pods = cluster.list("pods", "flexvolume.io/driver=everywhere", INSTALLERS)
    homes = Counter(pod["metadata"]["labels"]["flexvolume.io/directory"] for pod in pods)
    assert sorted(homes.values()) == [44, 124, 280 + GUESSED]
    for pod in pods:
        if pod["spec"]["nodeName"].startswith("fake-odd-"):
            command = pod["spec"]["initContainers"][1]["command"]
            assert f"--plugin-dir={ODD}" in command


def test_flexnodes_say_which_directory_it_is_and_who_said_so(cluster, installed, pools):
    found = flexnodes(cluster)
    paths = {"default": DEFAULT, "var": VAR, "odd": ODD, "slow": ODD, "strange": VAR}
    for name, path in paths.items():
        for node in pools[name]:
            directory = found[node]["pluginDir"]
            assert (directory["path"], directory["source"]) == (path, "Kubelet")
            assert directory["kubelet"]["path"] == path
            tls = "NotVerified" if name == "strange" else "Verified"
            assert directory["kubelet"]["tls"] == tls
            assert found[node]["installs"][0]["path"].startswith(f"{path}/example.com~")
            assert found[node]["installs"][0]["source"] == "Kubelet"


def test_a_kubelet_that_tells_nothing_is_guessed_and_the_reason_is_kept(cluster, installed, pools):
    found = flexnodes(cluster)
    for name, (_, reason) in UNHELPFUL.items():
        for node in pools[name]:
            directory = found[node]["pluginDir"]
            assert (directory["path"], directory["source"]) == (DEFAULT, "Default"), name
            assert directory["kubelet"]["reason"] == reason, name
            assert directory["kubelet"]["message"], name
    told = cluster.cluster.kubectl("describe", "flexdriver", "everywhere").partition("Events:")[2]
    for reason in {reason for _, reason in UNHELPFUL.values()}:
        assert f"{reason}: " in told
    confirmed = condition(installed, "DirectoryConfirmed")
    assert (confirmed["status"], confirmed["reason"]) == ("False", "Guessed")
    assert confirmed["message"].startswith(f"{GUESSED} nodes: ")


def test_every_kubelet_that_answers_is_asked_once(installed, layout):
    counts = asked(layout)
    assert [counts[port] for _, port, _ in POOLS.values()] == [280, 120, 42, 2, 4]


def test_metrics_tell_how_many_told_nothing(installed, operator):
    told = "flexvolume_kubelet_lookups_total"
    assert operator.metric(f'{told}{{result="Answered"}}') == TOTAL - GUESSED
    # One that is refused is not asked again soon.
    assert operator.metric(f'{told}{{result="Forbidden"}}') == EACH
    assert operator.metric(f'{told}{{result="InvalidAnswer"}}') == 6 * EACH
    nodes = 'flexvolume_driver_directory_nodes{{directory="{}",flexdriver="everywhere"}}'
    assert operator.metric(nodes.format("Guessed")) == GUESSED
    assert operator.metric(nodes.format("Unknown")) == 0


def test_a_driver_that_attaches_where_no_controller_manager_is_seen(cluster, operator, pools):
    """As in managed clusters: nobody knows, so nobody is kept waiting."""
    cluster.cluster.kubectl("label", "node", pools["default"][2], "few=yes")
    placement = {"nodeSelector": {"few": "yes"}}
    annotations = {"annotations": {"testbed/attach": ""}}
    cluster.apply(flexdriver("attaching", placement=placement, podMetadata=annotations))
    status = cluster.until_ready("attaching")
    assert status["capabilities"]["attach"] is True
    known = condition(status, "ControllerManagerReady")
    assert (known["status"], known["reason"]) == ("Unknown", "NotVisible")
    cluster.delete("flexdriver", "attaching")
    cluster.cluster.kubectl("label", "node", pools["default"][2], "few-")


def test_it_is_asked_for_nothing_but_its_configuration_and_with_one_token(installed, layout):
    found = [request for each in fakekubelets.asked(layout).values() for request in each]
    assert {request.path for request in found} == {"/configz"}
    assert len({request.token for request in found}) == 1


def test_nodes_carry_the_labels_that_open_the_gate(cluster, installed, pools):
    labels = {n["metadata"]["name"]: n["metadata"]["labels"] for n in cluster.list("nodes")}
    var = labels[pools["var"][0]]
    assert var["flexvolume.io/plugin-dir"] == "var.lib.kubelet.volumeplugins"
    assert var["flexvolume.io/kubelet-dir"] == "var.lib.kubelet.volumeplugins"
    guessed = labels[pools["down"][0]]
    assert "flexvolume.io/plugin-dir" in guessed
    assert "flexvolume.io/kubelet-dir" not in guessed
    assert var["testbed/node"] == "fake"


def test_a_restarted_operator_asks_nobody_twice_and_writes_nothing(
    cluster, installed, operator, layout
):
    operator.stop()
    fakekubelets.forget(layout)
    position = log_end(cluster)
    operator.start()
    series = 'flexvolume_driver_nodes{flexdriver="everywhere",state="Installed"}'
    until(lambda: operator.metric(series) == TOTAL, 30, "all is known again")
    assert not any(asked(layout).values())
    # It looks at its children once, which changes nothing in them.
    assert {resource for _, resource, _ in changes(cluster, position)} <= {"daemonsets"}


def test_a_node_whose_directory_has_changed_moves_and_what_it_had_is_told(
    cluster, installed, operator, layout, pools
):
    node = pools["var"][0]
    before = {
        pod["spec"]["nodeName"]: pod["metadata"]["uid"]
        for pod in cluster.list("pods", "flexvolume.io/driver=everywhere", INSTALLERS)
    }
    with connect(layout) as api:
        port = {"daemonEndpoints": {"kubeletEndpoint": {"Port": POOLS["odd"][1]}}}
        path = f"/api/v1/nodes/{node}/status"
        newer = {"nodeInfo": {"kubeletVersion": "v1.36.4"}}
        api.request("PATCH", path, {"status": port | newer})

    def moved():
        found = (cluster.get("flexnode", node) or {})["status"]
        return (
            found if found["pluginDir"]["path"] == ODD and found["state"] == "Installed" else None
        )

    found = until(moved, 30, "the node is in the other group")
    (entry,), (left,) = found["installs"], found["leftBehind"]
    assert entry["path"].startswith(f"{ODD}/")
    assert left["path"] == f"{VAR}/example.com~everywhere/everywhere"
    assert left["sha256"] == entry["sha256"]
    after = {
        pod["spec"]["nodeName"]: pod["metadata"]["uid"]
        for pod in cluster.list("pods", "flexvolume.io/driver=everywhere", INSTALLERS)
    }
    assert {name for name in before if before[name] != after[name]} == {node}


def test_a_directory_that_somebody_set_and_the_kubelet_contradicts_gets_nothing(
    cluster, installed, operator, pools
):
    few = [pools["default"][0], pools["var"][1], pools["down"][0]]
    cluster.cluster.kubectl("label", "node", *few, "few=yes")
    placement = {"nodeSelector": {"few": "yes"}}
    cluster.apply(flexdriver("set", pluginDir="/opt/set/", placement=placement))
    cluster.until_status(
        "set", lambda s: s["nodes"]["failed"] == 2 and s["nodes"]["installed"] == 1, "it is judged"
    )
    entry = cluster.until_failed("set", few[1])
    assert entry["reason"] == "DirectoryMismatch"
    assert (
        "spec.pluginDir says /opt/set, but the kubelet of this node looks into" in entry["message"]
    )
    assert VAR in entry["message"]
    homes = {
        pod["spec"]["nodeName"]
        for pod in cluster.list("pods", "flexvolume.io/driver=set", INSTALLERS)
    }
    assert homes == {few[2]}, "where nobody contradicts"
    status = cluster.flexdriver("set")
    assert condition(status, "DirectoryConfirmed")["reason"] == "DirectoryMismatch"
    told = cluster.cluster.kubectl("describe", "flexdriver", "set").partition("Events:")[2]
    assert "DirectoryMismatch" in told

    force = {"metadata": {"annotations": {"flexvolume.io/force-plugin-dir": ""}}}
    cluster.patch("flexdriver", "set", force)
    assert cluster.until_ready("set")["summary"] == "3/3"
    cluster.delete("flexdriver", "set")
    cluster.cluster.kubectl("label", "node", *few, "few-")


def test_groups_vanish_with_their_last_node_and_labels_with_the_last_driver(
    cluster, operator, pools
):
    few = [pools["default"][1], pools["var"][2]]
    cluster.cluster.kubectl("label", "node", *few, "few=yes")
    cluster.apply(flexdriver("few", placement={"nodeSelector": {"few": "yes"}}))
    cluster.until_ready("few")
    assert len(cluster.list("daemonsets", "flexvolume.io/driver=few", INSTALLERS)) == 2
    cluster.cluster.kubectl("label", "node", few[1], "few-")
    until(
        lambda: len(cluster.list("daemonsets", "flexvolume.io/driver=few", INSTALLERS)) == 1,
        20,
        "the group of the node that left is gone",
    )
    cluster.until_status("few", lambda s: s["summary"] == "1/1", "its status tells of the one left")
    cluster.delete("flexdriver", "few", "everywhere")
    cluster.cluster.kubectl("label", "node", few[0], "few-")

    def unlabelled():
        nodes = cluster.list("nodes")
        return not any("flexvolume.io" in json.dumps(n["metadata"]["labels"]) for n in nodes)

    until(unlabelled, 30, "no node has a label of ours")


def test_kubelets_that_are_not_asked_are_corrected_by_what_is_seen_on_the_node(
    cluster, process, pools
):
    """Of Kubernetes before 1.33, and where a firewall is between: the node's own word moves it."""
    process.stop()
    process.options = ["--kubelet-account="]
    process.start()
    few = pools["odd"][:3]
    cluster.cluster.kubectl("label", "node", *few, "few=yes")
    told = f"{few[0]}={VAR},{few[1]}={DEFAULT}/"
    cluster.apply(
        flexdriver(
            "seen",
            placement={"nodeSelector": {"few": "yes"}},
            podMetadata={"annotations": {"testbed/kubelet-dir": told}},
        )
    )
    status = cluster.until_ready("seen")
    found = flexnodes(cluster)
    known = [(found[n]["pluginDir"]["path"], found[n]["pluginDir"]["source"]) for n in few]
    assert known == [(VAR, "KubeletProcess"), (DEFAULT, "KubeletProcess"), (DEFAULT, "Default")]
    assert condition(status, "DirectoryConfirmed")["message"].startswith("1 node: ")
    assert {e["path"]: e["nodes"] for e in status["pluginDirs"]} == {VAR: 1, DEFAULT: 2}
    events = cluster.list("events")
    warned = [e["reason"] for e in events if e["involvedObject"]["name"] == "seen"]
    assert "DirectoryMismatch" not in warned, "what puts itself right is no news"
    cluster.delete("flexdriver", "seen")
    cluster.cluster.kubectl("label", "node", *few, "few-")


def test_the_operators_table_is_believed_before_kubelets_and_held_against_them(
    cluster, process, pools
):
    rows = [
        {"selector": {"matchLabels": {"table": "right"}}, "path": VAR},
        {"selector": {"matchExpressions": [{"key": "table", "operator": "Exists"}]}, "path": "/no"},
    ]
    process.stop()
    process.options = [f"--plugin-dir-pools={json.dumps(rows)}", "--volume-plugin-dir=/flag/"]
    process.start()
    right, wrong, flagged = pools["var"][3], pools["var"][4], pools["forbidden"][1]
    cluster.cluster.kubectl("label", "node", right, wrong, flagged, "few=yes")
    cluster.cluster.kubectl("label", "node", right, "table=right")
    cluster.cluster.kubectl("label", "node", wrong, "table=wrong")
    cluster.apply(flexdriver("rows", placement={"nodeSelector": {"few": "yes"}}))
    entry = cluster.until_failed("rows", wrong)
    assert entry["reason"] == "DirectoryMismatch"
    assert "pool table says /no, but the kubelet of this node looks into" in entry["message"]
    states = lambda: {cluster.install("rows", n).get("state") for n in (right, flagged)}  # noqa: E731
    until(lambda: states() == {"Installed"}, 30, "the others have it")
    found = flexnodes(cluster)
    known = [
        (found[n]["pluginDir"]["path"], found[n]["pluginDir"]["source"]) for n in (right, flagged)
    ]
    assert known == [(VAR, "Pool"), ("/flag", "Flag")]
    cluster.delete("flexdriver", "rows")
