"""What the controller makes of the changes that it is told."""

import asyncio

from flexvolume_operator.controller import Controller
from flexvolume_operator.settings import Settings

SETTINGS = Settings(
    installer_namespace="flexvolume-installers",
    installer_image="installer:1",
    installer_image_pull_policy="IfNotPresent",
    volume_plugin_dir="",
    flex_volume_plugin_dir="",
    plugin_dir_pools="",
    kubelet_account="",
    kubelet_certificate_authority="",
    kubelet_require_verified_tls=False,
    kubeconfig="",
    lease_namespace="",
    identity="test",
    listen=":0",
)


def body(uid, version):
    return {"metadata": {"name": "nfs", "uid": uid, "resourceVersion": version}, "spec": {}}


async def test_the_end_of_a_former_flexdriver_that_is_told_late_is_not_taken_for_the_new_ones():
    controller = Controller(SETTINGS, asyncio.Event())
    controller.flexdriver_changed(body("former", "9"), gone=False)
    controller.flexdriver_changed(body("new", "11"), gone=False)
    controller.flexdriver_changed(body("former", "10"), gone=True)
    assert controller._versions == {"nfs": "11"}
