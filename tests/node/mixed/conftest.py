"""Tests on nodes that have plugin directories of their own."""

import pytest

from testbed import Config
from tests.support.clusters import prepared, running

VAR, OPT = "/var/lib/kubelet/volumeplugins", "/opt/volume plugins/$(HOSTNAME)"


@pytest.fixture(scope="session")
def mixed(_images):
    """Three nodes, each told in its own way; the first one has the default. Nobody tells us."""
    told = Config(
        nodes=3,
        plugin_dirs={"node-2": f"{VAR}/", "node-3": OPT},
        plugin_dir_bys={"node-2": "flag-over-config", "node-3": "drop-in"},
    )
    with running("tests-mixed", told) as kit:
        yield prepared(kit)
