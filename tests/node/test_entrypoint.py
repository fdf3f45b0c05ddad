"""An image made for the upstream example: it copies itself into /flexmnt and sleeps."""

import pytest
import yaml

from testbed import images
from tests.support.kit import INSTALLERS, until
from tests.support.readers import stop_using, use

pytestmark = pytest.mark.node

EXAMPLE = images.ROOT / "examples/upstream-style"


@pytest.fixture(scope="module")
def body(kit):
    """The example's FlexDriver, installed."""
    found = yaml.safe_load((EXAMPLE / "flexdriver.yaml").read_text())
    found["spec"]["image"] = "localhost/upstream-style:dev"
    kit.cluster.load_image(found["spec"]["image"])
    kit.apply(found)
    kit.until_ready(found["metadata"]["name"])
    yield found
    kit.delete("flexdriver", found["metadata"]["name"])


def test_it_is_verified_and_published(kit, body):
    spec = body["spec"]
    assert spec["install"]["method"] == "Entrypoint"
    entry = kit.install(body["metadata"]["name"])
    assert entry["state"] == "Installed"
    assert entry["capabilities"]["attach"] is False
    published = kit.cluster.node("node-1").path(entry["path"])
    assert published.read_bytes() == (EXAMPLE / spec["driver"]).read_bytes()


def test_the_image_itself_sees_nothing_of_the_node(kit, body):
    selector = f"flexvolume.io/driver={body['metadata']['name']}"
    (pod,) = kit.list("pods", selector, INSTALLERS)
    (entrypoint,) = (
        c for c in pod["spec"]["initContainers"] if c["image"] == body["spec"]["image"]
    )
    volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
    mounted = [volumes[mount["name"]] for mount in entrypoint["volumeMounts"]]
    assert [next(k for k in v if k != "name") for v in mounted] == ["emptyDir"]
    assert "command" not in entrypoint


def test_a_pod_uses_the_volume(kit, body):
    reads = use(kit, body["spec"]["driver"], "node-1")
    assert until(reads, 60, "the pod runs")
    stop_using(kit, body["spec"]["driver"], "node-1")
