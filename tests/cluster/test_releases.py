"""One operator in a cluster: what Helm tells whoever installs another one, and what it lets be."""

import pytest

from testbed import ClusterError
from tests.support.clusters import CHART, helm_install
from tests.support.kit import OPERATORS

pytestmark = pytest.mark.cluster

SECOND = {
    "in another namespace": ("second", "--namespace=elsewhere", "--create-namespace"),
    "of the same name in another namespace": ("flexvolume-operator", "--namespace=elsewhere"),
    "beside the first": ("second", f"--namespace={OPERATORS}"),
    "that takes what is the first one's": (
        "second", "--namespace=elsewhere", "--create-namespace", "--take-ownership",
    ),
    "with pods in a namespace of its own": (
        "second", "--namespace=elsewhere", "--set=installer.namespace=others",
        "--set=crds.install=false",
    ),
}  # fmt: skip


@pytest.mark.parametrize("second", SECOND)
def test_a_second_release_is_refused_with_the_name_of_the_first(cluster, second):
    before = cluster.cluster.kubectl("get", "clusterrolebinding,deployment", "-A", "-o=name")
    with pytest.raises(ClusterError) as refused:
        cluster.cluster.helm("install", SECOND[second][0], str(CHART), *SECOND[second][1:])
    text = str(refused.value)
    assert f'as release "flexvolume-operator" in namespace "{OPERATORS}"' in text
    assert f"helm upgrade flexvolume-operator CHART --namespace {OPERATORS}" in text
    assert f"helm uninstall flexvolume-operator --namespace {OPERATORS}" in text
    after = cluster.cluster.kubectl("get", "clusterrolebinding,deployment", "-A", "-o=name")
    assert after == before


def test_the_first_release_can_be_upgraded(cluster):
    helm_install(cluster, wait=False)


def test_whoever_renders_without_a_cluster_is_let_through(cluster):
    """As Argo CD does; its own tracking tells whose an object is."""
    text = cluster.cluster.helm("template", "second", str(CHART), "--namespace=elsewhere")
    assert "kind: Deployment" in text
