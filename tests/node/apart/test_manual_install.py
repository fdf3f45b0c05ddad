"""docs/manual-install.md, run as it is written: by hand, rendered, taken over, and back.

One cluster goes all the way, and the driver must never be missing on it. Its commands are the
document's own; only images and what programs are called come from here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import yaml

from testbed import images
from tests.support import documents
from tests.support.clusters import load_images, running
from tests.support.inotify import Appearances
from tests.support.kit import INSTALLERS, Kit, until

pytestmark = pytest.mark.node

DOCUMENT = images.ROOT / "docs/manual-install.md"
EXAMPLE = images.ROOT / "examples/hostfile"
DAEMONSET = "hostfile-kubelet-1ac0e113"
DIRECTORY = "example.com~hostfile"
RECORD = f"{DIRECTORY}/.flexvolume.json"

# What stands in the document for what a user has, and what there is here.
CHART = (
    "image.repository=localhost/flexvolume-operator,image.tag=dev,"
    "installer.image.repository=localhost/flexvolume-installer,installer.image.tag=dev"
)
HERE = {
    "registry.example/flexvolume-installer:TAG": images.INSTALLER,
    "--take-ownership": f"--take-ownership --set {CHART}",
}


def commands(heading: str) -> str:
    """The first commands below a heading of the document."""
    return documents.commands(DOCUMENT, heading)[0]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Kit]:
    """A cluster with no operator in it."""
    with running("tests-manual") as kit:
        load_images(kit)
        yield kit


@pytest.fixture(scope="module")
def run(cluster, tmp_path_factory) -> Callable[[str], None]:
    """Runs commands of the document at the root of the repository."""
    return documents.Shell(cluster, tmp_path_factory.mktemp("bin"), HERE)


@dataclass(frozen=True)
class Step:
    """What a step did in the plugin directory."""

    inode: int
    appeared: list[str]
    gone: list[str]


@pytest.fixture(scope="module")
def step(cluster, run) -> Callable[[str, Callable[[], object]], Step]:
    """Runs the commands below a heading until something holds."""
    plugins = cluster.cluster.node("node-1").plugin_dir

    def step(heading: str, holds: Callable[[], object]) -> Step:
        with Appearances(plugins) as seen:
            run(commands(heading))
            until(holds, 60, heading)
        return Step((plugins / DIRECTORY / "hostfile").stat().st_ino, seen.names, seen.gone)

    return step


@pytest.fixture(scope="module")
def copied(cluster) -> Step:
    node = cluster.cluster.node("node-1")
    with Appearances(node.plugin_dir) as seen:
        node.exec(["sh", "-euc", f"cd {images.ROOT}; {commands('Copying the file')}"])
    return Step((node.plugin_dir / DIRECTORY / "hostfile").stat().st_ino, seen.names, seen.gone)


def installer_pods(kit: Kit) -> set[str]:
    """Those that are ready."""
    return {
        pod["metadata"]["uid"]
        for pod in kit.list("pods", "flexvolume.io/driver=hostfile", INSTALLERS)
        if any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in pod["status"].get("conditions", ())
        )
    }


@pytest.fixture(scope="module")
def rendered(cluster, step, copied) -> Step:
    return step("Rendering the DaemonSet", lambda: installer_pods(cluster))


def use(kit: Kit, name: str) -> None:
    """A pod that has a volume of the driver, running."""
    pod = yaml.safe_load((EXAMPLE / "pod.yaml").read_text())
    pod["metadata"] = {"name": name, "namespace": "default"}
    pod["spec"]["containers"][0]["image"] = images.BUSYBOX
    kit.apply(pod)
    kit.until_pod_ready(name)


@pytest.fixture(scope="module")
def taken_over(cluster, step, rendered) -> Step:
    use(cluster, "through-it-all")
    before = installer_pods(cluster)
    return step("Handing over to the operator", lambda: installer_pods(cluster) - before)


@pytest.fixture(scope="module")
def returned(cluster, step, run, taken_over) -> Step:
    first = step("And back", lambda: not cluster.get("namespace", INSTALLERS))
    again = step("Rendering the DaemonSet", lambda: installer_pods(cluster))
    return Step(again.inode, first.appeared + again.appeared, first.gone + again.gone)


def test_a_copied_driver_appears_at_once_and_whole(cluster, copied):
    assert copied.appeared == [DIRECTORY]
    use(cluster, "by-hand")
    assert "node-1" in cluster.cluster.kubectl("logs", "by-hand")
    cluster.delete("pod", "by-hand")


def test_a_rendered_daemonset_adopts_the_copy_without_an_operator(cluster, copied, rendered):
    assert rendered == Step(copied.inode, [RECORD], [])
    assert not cluster.list("deployments")
    use(cluster, "rendered")
    assert "node-1" in cluster.cluster.kubectl("logs", "rendered")
    cluster.delete("pod", "rendered")


def test_the_operator_takes_over_and_touches_nothing_but_its_record(rendered, taken_over):
    assert taken_over == Step(rendered.inode, [RECORD], [])


def test_the_operator_makes_the_daemonset_its_own(cluster, taken_over):
    daemonset = cluster.get("daemonset", DAEMONSET, INSTALLERS)
    (owner,) = daemonset["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("FlexDriver", "hostfile")
    assert cluster.install("hostfile")["state"] == "Installed"
    log = cluster.cluster.kubectl(
        "logs", "--namespace=flexvolume-system", "deployment/flexvolume-operator"
    )
    assert "was edited by" not in log


def test_back_without_the_operator_the_driver_was_never_missing(cluster, copied, returned):
    assert returned == Step(copied.inode, [RECORD], [])
    assert not cluster.list("deployments")


def test_a_pod_keeps_its_volume_through_it_all(cluster, returned):
    pod = cluster.get("pod", "through-it-all", "default")
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert "example.com~hostfile" in cluster.cluster.node("node-1").exec(["cat", "/proc/mounts"])
    cluster.delete("pod", "through-it-all")
    assert "example.com~hostfile" not in cluster.cluster.node("node-1").exec(
        ["cat", "/proc/mounts"]
    )


def test_the_installer_takes_it_away_again(cluster, run, returned):
    run(commands("Removing it from a node"))
    assert not cluster.list("pods", namespace=INSTALLERS)
    assert list(cluster.cluster.node("node-1").plugin_dir.iterdir()) == []
