"""Clusters for whole test modules, always taken away again, with the logs on failure."""

from collections.abc import Iterator
from contextlib import contextmanager

from testbed import Cluster, Config, builds, images
from testbed.shell import run
from tests.support.kit import OPERATORS, Kit

CHART = images.ROOT / "charts/flexvolume-operator"


@contextmanager
def running(name: str, config: Config | None = None) -> Iterator[Kit]:
    """A cluster of this name from nothing, gone afterwards."""
    cluster = Cluster(name, config)
    cluster.down()
    try:
        cluster.up()
        yield Kit(cluster)
    finally:
        cluster.down()


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
