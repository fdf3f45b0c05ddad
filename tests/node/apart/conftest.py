"""Tests with clusters of their own, most of them without an operator at first."""

import pytest

from testbed import Config, images, plugindir
from testbed.layout import state_root
from tests.support import rendering
from tests.support.clusters import running


@pytest.fixture(scope="session")
def alone(_images):
    """One node without an operator; its controller-manager has the kubelet's plugin directory."""
    shared = state_root() / f"tests-alone/nodes/node-1{plugindir.DEFAULT}"
    told = Config(controller_manager_plugin_dir=str(shared))
    with running("tests-alone", told) as kit:
        for image in (images.INSTALLER, images.BUSYBOX):
            kit.cluster.load_image(image)
        rendering.prepare(kit)
        yield kit
