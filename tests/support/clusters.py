"""Clusters for whole test modules, always taken away again, with the logs on failure."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from testbed import Cluster, Config, builds, images
from testbed.layout import state_root
from testbed.shell import ClusterError, run
from tests.support.kit import OPERATORS, Kit

CHART = images.ROOT / "charts/flexvolume-operator"


@contextmanager
def running(name: str, config: Config | None = None) -> Iterator[Kit]:
    """A cluster of this name from nothing, gone afterwards."""
    with _claimed(name):
        cluster = Cluster(name, config)
        cluster.down()
        try:
            cluster.up()
            with closing(Kit(cluster)) as kit:
                yield kit
        finally:
            cluster.down()


@contextmanager
def nodeless(name: str, node_grace: int = 0) -> Iterator[Kit]:
    """A cluster without a real node: the operator's own pod stays pending, and a process acts."""
    with running(name, Config(nodes=0, node_grace=node_grace)) as kit:
        helm_install(kit, wait=False)
        yield kit


@contextmanager
def _claimed(name: str) -> Iterator[None]:
    """Keep another run of the same tests from taking this run's cluster for a leftover."""
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            # Not a file: this name is gone with the process, however it ends.
            claim.bind(f"\0{state_root() / name}")
        except OSError:
            raise ClusterError(
                f"cluster {name} belongs to another run of these tests on this machine; "
                "begin again when that has ended"
            ) from None
        yield


def helm_install(kit: Kit, *values: str, wait: bool = True) -> None:
    """Install the operator as a user does: by its chart, with the images built from this tree."""
    own = [
        "image.repository=localhost/flexvolume-operator",
        "image.tag=dev",
        "installer.image.repository=localhost/flexvolume-installer",
        "installer.image.tag=dev",
    ]
    run(
        [
            str(builds.build(builds.HELM)),
            f"--kubeconfig={kit.kubeconfig}",
            "upgrade",
            "--install",
            "flexvolume-operator",
            str(CHART),
            f"--namespace={OPERATORS}",
            "--create-namespace",
            *(["--wait", "--timeout=2m"] if wait else []),
            *(f"--set={value}" for value in (*own, *values)),
        ]
    )


def load_images(kit: Kit) -> None:
    """The operator's, the node program's, a shell's, and that of the example."""
    for image in (images.OPERATOR, images.INSTALLER, images.BUSYBOX, "localhost/hostfile:dev"):
        kit.cluster.load_image(image)


def prepared(kit: Kit) -> Kit:
    """All of these loaded, and the operator installed by its chart."""
    load_images(kit)
    helm_install(kit)
    return kit
