"""What users see of FlexDriver and FlexNode beside refusals: defaults, columns, explanations."""

import json
import runpy
from pathlib import Path

import pytest

from tests.support.crds import created, flexdriver, install_crds, ok, refusal

pytestmark = pytest.mark.cluster

HACK = Path(__file__).resolve().parents[2] / "hack"


@pytest.fixture(scope="module", autouse=True)
def _crds(cluster):
    install_crds(cluster)


def test_what_a_user_leaves_out_is_filled_in(cluster):
    spec = created(cluster, flexdriver())["spec"]
    assert spec == {
        "vendor": "example.com",
        "driver": "nfs",
        "image": "registry.example/nfs:1",
        "imagePullPolicy": "IfNotPresent",
        "install": {"method": "Copy"},
        "adoptionPolicy": "IfIdentical",
        "dryRun": False,
        "requirements": {},
        "controllerManager": {"policy": "Auto"},
        "verify": {"policy": "Enforce", "context": "Host", "timeoutSeconds": 30},
        "placement": {
            "tolerations": [{"operator": "Exists"}],
            "priorityClassName": "system-node-critical",
        },
        "podSecurity": {"seLinuxOptions": {"type": "spc_t"}},
        "resources": {
            "install": {
                "requests": {"cpu": "10m", "memory": "16Mi"},
                "limits": {"memory": "256Mi"},
            },
            "guard": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}},
        },
        "suspend": False,
    }


def test_a_default_does_not_mix_with_what_a_user_wrote(cluster):
    given = {
        "placement": {"tolerations": []},
        "podSecurity": {"seLinuxOptions": {"level": "s0"}},
        "resources": {"guard": {"limits": {"memory": "4Mi"}}},
    }
    spec = created(cluster, flexdriver(**given))["spec"]
    assert spec["placement"]["tolerations"] == []
    assert spec["podSecurity"]["seLinuxOptions"] == {"level": "s0"}
    assert spec["resources"]["guard"] == {"limits": {"memory": "4Mi"}}


@pytest.mark.parametrize(
    ("spec", "unknown"),
    [
        ({"vendr": "a"}, "spec.vendr"),
        ({"install": {"files": [{"path": "a", "mod": "0644"}]}}, "spec.install.files[0].mod"),
        (
            {"placement": {"affinity": {"nodeAffinity": {"required": {}}}}},
            "spec.placement.affinity.nodeAffinity.required",
        ),
        ({"placement": {"tolerations": [{"keys": "a"}]}}, "spec.placement.tolerations[0].keys"),
        ({"resources": {"guard": {"claims": []}}}, "spec.resources.guard.claims"),
    ],
)
def test_an_unknown_field_is_named(cluster, spec, unknown):
    assert f'unknown field "{unknown}"' in refusal(cluster, flexdriver(**spec))


def test_status_is_a_subresource_of_flexdriver(cluster):
    stored = created(cluster, flexdriver() | {"status": {"summary": "1/1"}})
    assert "status" not in stored


def test_flexdrivers_are_listed_with_what_matters(cluster):
    created(cluster, flexdriver("columns"), dry_run=False)
    try:
        condition = {"type": "Ready", "status": "False", "reason": "NodesFailed", "message": "m"}
        status = {
            "driverName": "example.com/nfs",
            "summary": "998/1000",
            "conditions": [condition | {"lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "rollout": {"currentRevision": "7d9c01ab2e"},
        }
        patch = json.dumps({"status": status})
        ok(cluster, "patch", "fxd", "columns", "--subresource=status", "--type=merge", "-p", patch)
        header, row = rows(ok(cluster, "get", "fxd", "columns"))
        assert header == ["NAME", "DRIVER", "NODES", "READY", "REASON", "AGE"]
        assert row[:-1] == ["columns", "example.com/nfs", "998/1000", "False", "NodesFailed"]
        header, row = rows(ok(cluster, "get", "fxd", "columns", "--output=wide"))
        assert header[-2:] == ["IMAGE", "REVISION"]
        assert row[-2:] == ["registry.example/nfs:1", "7d9c01ab2e"]
    finally:
        ok(cluster, "delete", "flexdriver", "columns")


def test_flexnodes_are_listed_with_what_matters(cluster):
    install = {"driver": "san", "role": "kubelet", "path": "/p/example.com~san/san"}
    body = {
        "apiVersion": "flexvolume.io/v1alpha1",
        "kind": "FlexNode",
        "metadata": {"name": "node-1.example.com", "labels": {"flexvolume.io/state": "Failed"}},
        "status": {
            "summary": "2/3",
            "state": "Failed",
            "problem": "san:InitTimeout",
            "pluginDir": {"path": "/p", "source": "Kubelet", "observed": {}},
            "installs": [install | {"state": "Failed", "repairs": {"count": 2}}],
        },
    }
    stored = created(cluster, body, dry_run=False)
    try:
        assert stored["status"] == body["status"], "one write carries labels and status"
        header, row = rows(ok(cluster, "get", "fxn", "-l", "flexvolume.io/state=Failed"))
        assert header == ["NAME", "DIRECTORY", "SOURCE", "DRIVERS", "STATE", "PROBLEM", "AGE"]
        assert row[:-1] == [
            "node-1.example.com",
            "/p",
            "Kubelet",
            "2/3",
            "Failed",
            "san:InitTimeout",
        ]
    finally:
        ok(cluster, "delete", "flexnode", "node-1.example.com")


def test_flexnode_refuses_a_state_that_nobody_knows(cluster):
    body = {"apiVersion": "flexvolume.io/v1alpha1", "kind": "FlexNode", "metadata": {"name": "n"}}
    assert '"Unsupported", "Installed"' in refusal(cluster, body | {"status": {"state": "Fine"}})


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("flexdriver", "proves on each node that it answers before the kubelet can see it"),
        ("flexdriver.spec", "vendor <string> -required-"),
        ("flexdriver.spec.vendor", "a DNS-1123 subdomain such as example.com"),
        ("flexdriver.spec.install.source", "Default: /<driver>."),
        ("flexdriver.spec.install.method", "environment variables VENDOR and DRIVER"),
        ("flexdriver.spec.install.files", "exactly one of image, configMapKeyRef and secretKeyRef"),
        ("flexdriver.spec.adoptionPolicy", "keep a copy outside the plugin directory"),
        ("flexdriver.spec.dryRun", "publish nothing"),
        ("flexdriver.spec.requirements.architectures", "Nodes of others are Unsupported"),
        ("flexdriver.spec.pluginDir", "by default it is found out node by node"),
        ("flexdriver.spec.controllerManager.policy", "ENUM: Auto Always Never"),
        ("flexnode.status.pluginDir.source", "The last three are guesses."),
        ("flexdriver.spec.verify.timeoutSeconds", "1 to 300 seconds (default 30)"),
        ("flexdriver.spec.placement.tolerations.effect", 'ENUM: "" NoExecute NoSchedule'),
        ("flexdriver.spec.placement.affinity.nodeAffinity", "FIELDS: preferredDuringScheduling"),
        ("flexdriver.spec.resources.guard.limits", "maximum amount of compute resources"),
        ("flexdriver.status.nodes", "counts after matched add up to it"),
        ("flexnode", "kubectl get flexnodes -l flexvolume.io/state=Failed"),
        ("flexnode.status.installs.serving", "What lies at path"),
    ],
)
def test_explain_answers_what_a_user_asks(cluster, field, said):
    assert said in " ".join(ok(cluster, "explain", field).split())


@pytest.mark.parametrize("kind", ["flexdriver", "flexnode"])
def test_every_field_is_explained(cluster, kind):
    crd = json.loads(ok(cluster, "get", "crd", f"{kind}s.flexvolume.io", "--output=json"))
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert list(unexplained(root, kind)) == [f"{kind}.metadata"]


def test_embedded_core_types_are_those_of_this_kubernetes(cluster):
    extract = runpy.run_path(str(HACK / "crds.py"))["extract"]
    openapi = json.loads(ok(cluster, "get", "--raw", "/openapi/v3/api/v1"))
    committed = json.loads((HACK / "core_shapes.json").read_text())
    assert extract(openapi["components"]["schemas"]) == committed


def rows(table):
    return [line.split() for line in table.splitlines()]


def unexplained(schema, path):
    """Paths of properties without a description."""
    schema = schema.get("items", schema)
    for name, child in schema.get("properties", {}).items():
        if "description" not in child:
            yield f"{path}.{name}"
        yield from unexplained(child, f"{path}.{name}")
