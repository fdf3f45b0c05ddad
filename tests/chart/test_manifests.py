"""What the chart installs: the operator's Deployment, its namespaces, accounts and CRDs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flexvolume_operator.directories.pools import parse_pools

ROOT = Path(__file__).resolve().parents[2]
CRDS = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]


def of(kind, manifests, name=None):
    """The one manifest of a kind (and name)."""
    (found,) = (
        manifest
        for manifest in manifests
        if manifest["kind"] == kind and name in {None, manifest["metadata"]["name"]}
    )
    return found


def operator(manifests):
    """The operator's container."""
    (container,) = of("Deployment", manifests)["spec"]["template"]["spec"]["containers"]
    return container


def environment(manifests):
    return {entry["name"]: entry.get("value") for entry in operator(manifests)["env"]}


def test_lint_finds_nothing(helm):
    command = [helm, "lint", "--strict", "charts/flexvolume-operator"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_everything_is_in_a_namespace_of_the_release_or_the_installers(manifests):
    spaces = {m["metadata"]["namespace"] for m in manifests if "namespace" in m["metadata"]}
    others = {"default", "kube-system"}
    assert spaces == {"flexvolume-system", "flexvolume-installers"} | others
    there = {m["kind"] for m in manifests if m["metadata"].get("namespace") in others}
    # For Events about cluster-scoped objects, and the mirror pods of controller-managers.
    assert there == {"Role", "RoleBinding"}


def test_the_installer_namespace_allows_privileged_pods(manifests):
    labels = of("Namespace", manifests, "flexvolume-installers")["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "privileged"


def test_the_installer_namespace_can_be_somebody_elses(render):
    manifests = render("installer.createNamespace=false", "installer.namespace=drivers")
    assert "Namespace" not in {manifest["kind"] for manifest in manifests}
    account = of("ServiceAccount", manifests, "flexvolume-installer")
    assert account["metadata"]["namespace"] == "drivers"
    assert environment(manifests)["FLEXVOLUME_INSTALLER_NAMESPACE"] == "drivers"


def test_pods_on_nodes_get_no_token(manifests):
    account = of("ServiceAccount", manifests, "flexvolume-installer")
    assert account["metadata"]["namespace"] == "flexvolume-installers"
    assert account["automountServiceAccountToken"] is False


def test_the_operator_runs_without_any_privilege(manifests):
    """The pod fits the Pod Security level restricted."""
    pod = of("Deployment", manifests)["spec"]["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert operator(manifests)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "volumes" not in pod
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_the_operator_is_probed_and_measured_on_one_port(manifests):
    container = operator(manifests)
    (port,) = container["ports"]
    assert port["containerPort"] == 8080
    assert environment(manifests)["FLEXVOLUME_LISTEN"] == ":8080"
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}
    service = of("Service", manifests)["spec"]
    assert [(p["port"], p["targetPort"]) for p in service["ports"]] == [(8080, port["name"])]
    template = of("Deployment", manifests)["spec"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()


def test_the_operator_is_sized_and_ranked(manifests):
    pod = of("Deployment", manifests)["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert operator(manifests)["resources"]["requests"]["memory"] == "128Mi"
    assert operator(manifests)["resources"]["limits"]["memory"] == "256Mi"
    assert of("Deployment", manifests)["spec"]["replicas"] == 1


def test_settings_reach_the_operator(render):
    manifests = render(
        "volumePluginDir=/var/lib/kubelet/volumeplugins",
        "log.level=debug",
        "log.format=text",
        "installer.image.repository=mirror.example/installer",
        "installer.image.tag=dev",
        "installer.image.pullPolicy=Never",
        "replicas=2",
    )
    found = environment(manifests)
    assert operator(manifests)["args"] == ["run"]
    assert found["FLEXVOLUME_VOLUME_PLUGIN_DIR"] == "/var/lib/kubelet/volumeplugins"
    assert found["FLEXVOLUME_LOG_LEVEL"] == "debug"
    assert found["FLEXVOLUME_LOG_FORMAT"] == "text"
    assert found["FLEXVOLUME_INSTALLER_IMAGE"] == "mirror.example/installer:dev"
    assert found["FLEXVOLUME_INSTALLER_IMAGE_PULL_POLICY"] == "Never"
    assert of("Deployment", manifests)["spec"]["replicas"] == 2


def test_how_directories_are_found_can_be_set(render):
    manifests = render(
        "flexVolumePluginDir=/opt/kcm",
        "pluginDirPools[0].path=/opt/pool",
        "pluginDirPools[0].selector.matchLabels.pool=a",
        "kubelet.requireVerifiedTLS=true",
        "kubelet.certificateAuthorityConfigMap=kubelet-ca",
    )
    found = environment(manifests)
    assert found["FLEXVOLUME_FLEX_VOLUME_PLUGIN_DIR"] == "/opt/kcm"
    (row,) = parse_pools(found["FLEXVOLUME_PLUGIN_DIR_POOLS"])
    assert (row.path, row.selector.match_labels) == ("/opt/pool", {"pool": "a"})
    assert found["FLEXVOLUME_KUBELET_ACCOUNT"] == "flexvolume-system/flexvolume-kubelet-reader"
    assert found["FLEXVOLUME_KUBELET_REQUIRE_VERIFIED_TLS"] == "true"
    (mount,) = operator(manifests)["volumeMounts"]
    file = found["FLEXVOLUME_KUBELET_CERTIFICATE_AUTHORITY"]
    assert file == f"{mount['mountPath']}/ca.crt"
    (volume,) = of("Deployment", manifests)["spec"]["template"]["spec"]["volumes"]
    assert volume == {"name": mount["name"], "configMap": {"name": "kubelet-ca"}}


def test_without_discovery_there_is_nobody_to_ask_kubelets(render):
    manifests = render("kubelet.discovery=false")
    assert not any("KUBELET" in name for name in environment(manifests))
    assert not [m for m in manifests if "kubelet-reader" in m["metadata"]["name"]]


def test_two_replicas_are_kept_apart_and_not_drained_together(render):
    manifests = render("replicas=2")
    deployment = of("Deployment", manifests)["spec"]
    labels = deployment["selector"]["matchLabels"]
    affinity = deployment["template"]["spec"]["affinity"]["podAntiAffinity"]
    (apart,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert apart["podAffinityTerm"] == {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": labels},
    }
    budget = of("PodDisruptionBudget", manifests)["spec"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}


def test_one_replica_holds_up_no_drain(manifests):
    assert "PodDisruptionBudget" not in {manifest["kind"] for manifest in manifests}
    assert "affinity" not in of("Deployment", manifests)["spec"]["template"]["spec"]


def test_an_affinity_of_the_users_replaces_ours(render):
    own = "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1"
    found = of("Deployment", render("replicas=2", own))["spec"]["template"]["spec"]["affinity"]
    assert list(found) == ["nodeAffinity"]


@pytest.mark.parametrize("name", ["FLEXVOLUME_LEASE_NAMESPACE", "FLEXVOLUME_IDENTITY"])
def test_the_operator_knows_who_and_where_it_is(manifests, name):
    (entry,) = (entry for entry in operator(manifests)["env"] if entry["name"] == name)
    paths = {"FLEXVOLUME_LEASE_NAMESPACE": "metadata.namespace"}
    assert entry["valueFrom"]["fieldRef"]["fieldPath"] == paths.get(name, "metadata.name")


def test_every_setting_is_one_that_the_operator_knows(manifests):
    source = (ROOT / "operator/flexvolume_operator/cli.py").read_text()
    known = {f"FLEXVOLUME_{name}" for name in re.findall(r'_ENV}_([A-Z_]+)"', source)}
    assert environment(manifests).keys() <= known


def test_images_are_those_of_this_version_without_a_registry(manifests):
    version = yaml.safe_load((ROOT / "charts/flexvolume-operator/Chart.yaml").read_text())
    release = version["appVersion"]
    assert operator(manifests)["image"] == f"flexvolume-operator:{release}"
    installer = environment(manifests)["FLEXVOLUME_INSTALLER_IMAGE"]
    assert installer == f"flexvolume-installer:{release}"
    source = (ROOT / "operator/flexvolume_operator/__init__.py").read_text()
    assert f'__version__ = "{release}"' in source


def test_a_digest_pins_an_image(render):
    digest = "sha256:" + "a" * 64
    image = operator(render(f"image.digest={digest}", "image.tag=v1"))["image"]
    assert image == f"flexvolume-operator:v1@{digest}"


def test_pull_secrets_reach_both_kinds_of_pods(render):
    manifests = render("imagePullSecrets[0].name=a", "installer.imagePullSecrets[0].name=b")
    for account, secret in (("flexvolume-operator", "a"), ("flexvolume-installer", "b")):
        found = of("ServiceAccount", manifests, account)["imagePullSecrets"]
        assert found == [{"name": secret}]


def test_labels_of_users_do_not_replace_those_that_are_selected_by(render):
    manifests = render("podLabels.app\\.kubernetes\\.io/name=x", "podLabels.team=a")
    deployment = of("Deployment", manifests)["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert labels["team"] == "a"
    assert deployment["selector"]["matchLabels"].items() <= labels.items()


def test_crds_are_those_of_the_repository_and_stay(manifests):
    rendered = [manifest for manifest in manifests if manifest["kind"] == CRDS[0]["kind"]]
    for crd in rendered:
        assert crd["metadata"]["annotations"].pop("helm.sh/resource-policy") == "keep"
    assert sorted(rendered, key=lambda crd: crd["metadata"]["name"]) == CRDS


def test_crds_can_be_left_to_somebody_else(render):
    kinds = {manifest["kind"] for manifest in render("crds.install=false")}
    assert "CustomResourceDefinition" not in kinds


def test_what_is_derived_from_the_crds_is_up_to_date():
    command = [sys.executable, "hack/crds.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
