"""What the operator may do. Each line of the table is a right that it uses, and no other exists."""

import pytest

from testbed.images import ROOT

Key = tuple[str, str | None, str]

FOLLOW = {"list", "watch"}
READ = FOLLOW | {"get"}
RIGHTS: dict[Key, dict[tuple[str, str], set[str]]] = {
    ("ClusterRole", None, "flexvolume-operator"): {
        ("flexvolume.io", "flexdrivers"): READ | {"patch"},
        ("flexvolume.io", "flexdrivers/status"): {"patch"},
        ("flexvolume.io", "flexnodes"): FOLLOW | {"create", "patch", "delete"},
        ("", "nodes"): FOLLOW | {"patch"},
    },
    ("Role", "flexvolume-installers", "flexvolume-operator-installers"): {
        ("apps", "daemonsets"): FOLLOW | {"create", "patch", "update", "delete"},
        ("", "pods"): FOLLOW | {"patch", "delete"},
        ("", "configmaps"): READ,
        ("", "secrets"): READ | {"create"},
        ("", "events"): {"list"},
    },
    ("Role", "flexvolume-system", "flexvolume-operator-lease"): {
        ("coordination.k8s.io", "leases"): {"create", "get", "update"},
    },
    ("Role", "default", "flexvolume-operator-events"): {
        ("", "events"): READ | {"create", "patch"},
    },
    ("Role", "kube-system", "flexvolume-operator-controller-managers"): {("", "pods"): FOLLOW},
    ("Role", "flexvolume-system", "flexvolume-operator-kubelet-reader"): {
        ("", "serviceaccounts/token"): {"create"},
    },
    ("ClusterRole", None, "flexvolume-kubelet-reader"): {("", "nodes/configz"): {"get"}},
    ("ClusterRole", None, "flexvolume-viewer"): {
        ("flexvolume.io", "flexdrivers"): READ,
        ("flexvolume.io", "flexnodes"): READ,
    },
}


def key(manifest):
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace"), metadata["name"]


@pytest.fixture(scope="module")
def roles(manifests):
    return {key(m): m for m in manifests if m["kind"] in {"Role", "ClusterRole"}}


def test_rights_are_exactly_those_that_are_used(roles):
    found: dict[Key, dict[tuple[str, str], set[str]]] = {}
    for role, manifest in roles.items():
        rights = found.setdefault(role, {})
        for rule in manifest["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    rights.setdefault((group, resource), set()).update(rule["verbs"])
    assert found == RIGHTS


def test_no_rule_has_a_wildcard(roles):
    for manifest in roles.values():
        for rule in manifest["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


def test_only_our_own_lease_can_be_changed(roles):
    role = roles["Role", "flexvolume-system", "flexvolume-operator-lease"]
    named = {verb: rule.get("resourceNames") for rule in role["rules"] for verb in rule["verbs"]}
    ours = ["flexvolume-operator"]
    assert named == {"create": None, "get": ours, "update": ours}


def test_every_right_is_the_operators_own(manifests, roles):
    """Above all none is the installer's account's: its pods are on every node."""
    bindings = [m for m in manifests if m["kind"] in {"RoleBinding", "ClusterRoleBinding"}]
    for binding in bindings:
        (subject,) = binding["subjects"]
        reader = binding["roleRef"]["name"] == "flexvolume-kubelet-reader"
        assert (subject["kind"], subject["namespace"], subject["name"]) == (
            "ServiceAccount",
            "flexvolume-system",
            "flexvolume-kubelet-reader" if reader else "flexvolume-operator",
        )
    bound = {binding["roleRef"]["name"] for binding in bindings}
    assert bound == {name for _, _, name in roles} - {"flexvolume-viewer"}


def test_tokens_are_had_for_the_account_that_asks_kubelets_and_no_other(roles):
    role = roles["Role", "flexvolume-system", "flexvolume-operator-kubelet-reader"]
    (rule,) = role["rules"]
    assert rule["resourceNames"] == ["flexvolume-kubelet-reader"]


def test_viewers_of_the_cluster_see_drivers(roles):
    viewer = roles["ClusterRole", None, "flexvolume-viewer"]
    labels = viewer["metadata"]["labels"]
    assert labels["rbac.authorization.k8s.io/aggregate-to-view"] == "true"


def test_names_do_not_follow_the_release(render, manifests):
    """So that Helm refuses a second operator, which would fight over the same nodes."""
    assert [key(m) for m in render(release="other")] == [key(m) for m in manifests]


WHERE = {
    "everywhere": None,
    "installer namespace": "flexvolume-installers",
    "its own": "flexvolume-system",
}


def test_the_document_tells_of_each_right_of_the_operator():
    text = (ROOT / "docs/security.md").read_text().partition("\n| where | what | may be |")[2]
    told: dict[tuple[str | None, str], set[str]] = {}
    where = ""
    for row in text.partition("\n\n")[0].splitlines()[2:]:
        place, what, verbs, _ = (cell.strip().strip("`") for cell in row.strip("|").split("|"))
        where = place or where
        told[WHERE.get(where, where), what] = set(verbs.split(", "))
    assert told == {
        (namespace, resource): verbs
        for (_, namespace, name), rights in RIGHTS.items()
        if name.startswith("flexvolume-operator")
        for (_, resource), verbs in rights.items()
    }
