"""Files from ConfigMaps and Secrets: a changed one is another revision, a missing one is told."""

import base64
import hashlib
import json
import time

import pytest

from tests.support.kit import INSTALLERS, condition, flexdriver, is_stalled, until
from tests.support.operator import changes, log_end, requests
from tests.support.specs import FROM_CONFIG_MAP

pytestmark = pytest.mark.cluster

NODES = 5
REST = 15
PASSWORD = "hunter2"
FROM_SECRET = {"path": "pw", "secretKeyRef": {"name": "nfs", "key": "pw"}}
KEY = "flexvolume-operator-key"


@pytest.fixture(scope="module")
def nodes(cluster):
    return cluster.cluster.fake_nodes(NODES)


def put(cluster, kind, name="nfs", **data):
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": INSTALLERS},
            ("stringData" if kind == "Secret" else "data"): data,
        }
    )


def drop(cluster, kind, name="nfs"):
    cluster.delete(kind, name, namespace=INSTALLERS)


@pytest.fixture
def objects(cluster, operator, nodes):
    put(cluster, "ConfigMap", **{"nfs.conf": "a=1"})
    put(cluster, "Secret", pw=PASSWORD)
    yield
    cluster.delete("flexdriver", "filed")
    drop(cluster, "configmap")
    drop(cluster, "secret")


@pytest.fixture
def driver(cluster, objects):
    cluster.apply(flexdriver("filed", install={"files": [FROM_CONFIG_MAP, FROM_SECRET]}))
    cluster.until_ready("filed")
    uid = cluster.get("flexdriver", "filed")["metadata"]["uid"]

    def told():
        about = [event["involvedObject"] for event in cluster.list("events")]
        return any(found.get("uid") == uid for found in about)

    until(told, 10, "an event tells that it is Ready")
    return "filed"


def revision(cluster, driver):
    return cluster.flexdriver(driver)["rollout"]["currentRevision"]


def pods(cluster, driver):
    found = cluster.list("pods", f"flexvolume.io/driver={driver}", INSTALLERS)
    return {pod["metadata"]["uid"]: pod for pod in found}


def missing(cluster, driver):
    status = cluster.until_status(
        driver,
        lambda s: is_stalled(s) and condition(s, "Stalled")["reason"] == "SourceMissing",
        "a source is missing",
    )
    return condition(status, "Ready")["message"]


@pytest.mark.parametrize(
    ("kind", "change"), [("ConfigMap", {"nfs.conf": "a=2"}), ("Secret", {"pw": "hunter3"})]
)
def test_a_changed_object_reaches_every_node_as_another_revision(cluster, driver, kind, change):
    before = revision(cluster, driver)
    put(cluster, kind, **change)
    until(lambda: revision(cluster, driver) != before, 10, "there is another revision")
    status = cluster.until_ready(driver)
    assert status["rollout"]["updated"] == NODES
    labels = [p["metadata"]["labels"] for p in pods(cluster, driver).values()]
    assert {found["flexvolume.io/revision"] for found in labels} == {revision(cluster, driver)}


def test_another_key_of_the_object_changes_nothing(cluster, driver):
    before, known = revision(cluster, driver), pods(cluster, driver).keys()
    since = log_end(cluster)
    put(cluster, "ConfigMap", **{"nfs.conf": "a=1", "other": "x"})
    path = f"/api/v1/namespaces/{INSTALLERS}/configmaps/nfs"
    read = lambda: [r for r in requests(cluster, since) if r["requestURI"] == path]  # noqa: E731
    until(read, 10, "it has looked")
    assert (revision(cluster, driver), pods(cluster, driver).keys()) == (before, known)


def test_what_is_in_a_secret_is_nowhere_to_be_seen_nor_to_be_tried_out(cluster, driver, operator):
    seen = (
        json.dumps(
            [
                cluster.list("daemonsets", namespace=INSTALLERS),
                cluster.list("pods", namespace=INSTALLERS),
                cluster.list("flexdrivers"),
                cluster.list("flexnodes"),
                cluster.list("events"),
            ]
        )
        + operator.log.read_text()
    )
    coded = base64.b64encode(PASSWORD.encode()).decode()
    hashed = hashlib.sha256(PASSWORD.encode()).hexdigest()
    assert not [word for word in (PASSWORD, coded, hashed[:10]) if word in seen]


def test_the_key_is_made_once_and_outlives_the_operator(cluster, driver, operator):
    key = cluster.get("secret", KEY, INSTALLERS)
    assert len(base64.b64decode(key["data"]["key"])) == 32
    before, known = revision(cluster, driver), pods(cluster, driver).keys()
    assert operator.stop() == 0
    since = log_end(cluster)
    operator.start()
    time.sleep(REST)
    assert {c[1] for c in changes(cluster, since)} == {"daemonsets"}, "it looks at its children"
    assert cluster.get("secret", KEY, INSTALLERS) == key
    assert (revision(cluster, driver), pods(cluster, driver).keys()) == (before, known)


def test_at_rest_nothing_is_asked_for(cluster, driver):
    since = log_end(cluster)
    time.sleep(REST)
    asked = [
        r["requestURI"] for r in requests(cluster, since)
        if "/secrets" in r["requestURI"] or "/configmaps" in r["requestURI"]
    ]  # fmt: skip
    assert [uri for uri in asked if "watch=1" not in uri] == []
    assert changes(cluster, since) == []


def test_what_is_missing_is_named_and_installed_once_it_is_there(cluster, objects):
    file = {"path": "a", "configMapKeyRef": {"name": "late", "key": "a.conf"}}
    cluster.apply(flexdriver("filed", install={"files": [FROM_CONFIG_MAP, file]}))
    where = f"spec.install.files[1].configMapKeyRef: ConfigMap {INSTALLERS}/late"
    assert missing(cluster, "filed") == f"{where} does not exist"
    assert pods(cluster, "filed") == {}
    put(cluster, "ConfigMap", "late", b="1")
    until(
        lambda: missing(cluster, "filed") == f"{where} has no key a.conf", 10, "the key is missing"
    )
    put(cluster, "ConfigMap", "late", **{"a.conf": "1"})
    cluster.until_ready("filed")
    drop(cluster, "configmap", "late")


def test_an_object_that_vanishes_leaves_what_is_installed(cluster, driver, operator, nodes):
    before = revision(cluster, driver)
    drop(cluster, "secret")
    text = missing(cluster, driver)
    assert text == f"spec.install.files[1].secretKeyRef: Secret {INSTALLERS}/nfs does not exist"
    cluster.patch("flexdriver", driver, {"spec": {"image": "localhost/hostfile:next"}})
    (child,) = cluster.list("daemonsets", f"flexvolume.io/driver={driver}", INSTALLERS)
    template = child["spec"]["template"]
    cluster.delete("daemonset", child["metadata"]["name"], namespace=INSTALLERS)
    restored = until(
        lambda: cluster.list("daemonsets", f"flexvolume.io/driver={driver}", INSTALLERS),
        10,
        "it is there again",
    )
    assert restored[0]["spec"]["template"] == template
    assert {cluster.install(driver, node)["state"] for node in nodes} == {"Installed"}
    generation = cluster.get("flexdriver", driver)["metadata"]["generation"]
    cluster.until_status(
        driver, lambda s: s["observedGeneration"] == generation, "the new image was seen"
    )
    assert "SourceMissing" in cluster.cluster.kubectl("describe", "flexdriver", driver)

    operator.kill()
    operator.start()
    missing(cluster, driver)
    assert {cluster.install(driver, node)["state"] for node in nodes} == {"Installed"}

    cluster.patch("flexdriver", driver, {"spec": {"image": "localhost/hostfile:dev"}})
    put(cluster, "Secret", pw=PASSWORD)
    cluster.until_ready(driver)
    assert revision(cluster, driver) == before


def test_an_object_that_comes_back_as_it_was_replaces_nothing(cluster, driver):
    before, known = revision(cluster, driver), pods(cluster, driver).keys()
    drop(cluster, "secret")
    missing(cluster, driver)
    put(cluster, "Secret", pw=PASSWORD)
    cluster.until_ready(driver)
    assert (revision(cluster, driver), pods(cluster, driver).keys()) == (before, known)


def test_a_missing_object_does_not_keep_a_flexdriver_from_going(cluster, driver):
    drop(cluster, "secret")
    missing(cluster, driver)
    cluster.delete("flexdriver", driver)
    assert cluster.list("daemonsets", f"flexvolume.io/driver={driver}", INSTALLERS) == []
