"""What a FlexDriver may say, asked of a real API server: each refusal has to tell what is right."""

from typing import Any

import pytest

from tests.support import specs
from tests.support.crds import created, flexdriver, install_crds, ok, refusal

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def _crds(cluster):
    install_crds(cluster)


SUBDOMAIN = "vendor must be a DNS-1123 subdomain such as example.com"
OWN_DOMAIN = "vendor must be a domain of your own such as example.com"
LABEL_NAME = "driver must be a label-key name such as nfs: 1 to 63 letters"
IMAGE = "image must name the image that holds the driver"
PLUGIN_DIR = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
PULL_SECRET = "must be the name of a Secret in the installer namespace"
BY_OPERATOR = "is set by the operator itself, use a key in a domain of your own"
QUANTITY = "must be a quantity, such as 100m or 1 for cpu and 64Mi for memory"
LABEL_KEY = "must be a label key such as example.com/pool"
LABEL_VALUE = "must have a label value of at most 63 letters"


def term(expression: dict[str, Any]) -> dict[str, Any]:
    """A placement with one required node selector term."""
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": required}
    return {"affinity": {"nodeAffinity": affinity}}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"vendor": "a"},
        {"vendor": "storage-2.example.com"},
        {"vendor": "kubernetes.io.example.com"},
        {"vendor": "my-kubernetes.io"},
        {"driver": "a"},
        {"driver": "My_Driver-2.cmd"},
        {"driver": "d" * 63},
        {"vendor": f"{'v' * 63}.{'v' * 63}.{'v' * 63}", "driver": "d" * 63},
        {"image": "localhost:5000/nfs@sha256:" + "0" * 64},
        {"imagePullPolicy": "Never", "imagePullSecrets": [{"name": "a"}, {"name": "b.c"}]},
        {"install": {"method": "Copy", "source": "/opt/my driver/nfs"}},
        {"pluginDir": ""},
        {"pluginDir": PLUGIN_DIR},
        {"pluginDir": PLUGIN_DIR + "/"},
        {"pluginDir": "/var/lib/..kubelet/.exec."},
        {"verify": {"policy": "Skip", "context": "Host", "timeoutSeconds": 1}},
        {"verify": {"timeoutSeconds": 300}},
        {"placement": {"nodeSelector": {"example.com/pool": "a", "b": ""}, "tolerations": []}},
        {"placement": term({"key": "example.com/cpus", "operator": "Gt", "values": ["3"]})},
        {"placement": term({"key": "a", "operator": "In", "values": ["v"] * 256})},
        {"placement": {"tolerations": [{"key": "a", "operator": "Equal", "value": "b"}]}},
        {"placement": {"tolerations": [{"effect": "NoExecute", "tolerationSeconds": 300}]}},
        {"podMetadata": {"labels": {"example.com/team": "a"}, "annotations": {"b": "any text\n"}}},
        {"podSecurity": {"seLinuxOptions": {"type": "container_t", "level": "s0:c1,c2"}}},
        {"podSecurity": {"seLinuxOptions": {}}},
        {"resources": {"install": {"limits": {"cpu": 2, "memory": "1.5Gi"}}, "guard": {}}},
        {"suspend": True},
        *specs.GOOD,
    ],
    ids=str,
)
def test_is_accepted(cluster, spec):
    created(cluster, flexdriver(**spec))


@pytest.mark.parametrize(
    ("field", "value", "right"),
    [
        ("vendor", None, "Required value"),
        ("vendor", "", SUBDOMAIN),
        ("vendor", "Example.com", SUBDOMAIN),
        ("vendor", "example_com", SUBDOMAIN),
        ("vendor", "-example.com", SUBDOMAIN),
        ("vendor", "example..com", SUBDOMAIN),
        ("vendor", "example.com/nfs", "'/' and '~' are not allowed"),
        ("vendor", "example.com~nfs", "'/' and '~' are not allowed"),
        ("vendor", "v" * 254, "may not be more than 253"),
        ("vendor", "kubernetes.io", OWN_DOMAIN),
        ("vendor", "storage.kubernetes.io", OWN_DOMAIN),
        ("driver", None, "Required value"),
        ("driver", "", LABEL_NAME),
        ("driver", "d" * 64, LABEL_NAME),
        ("driver", ".nfs", LABEL_NAME),
        ("driver", "nfs-", LABEL_NAME),
        ("driver", "..", LABEL_NAME),
        ("driver", "my driver", LABEL_NAME),
        ("driver", "example.com/nfs", "the vendor goes into spec.vendor"),
        ("driver", "example.com~nfs", "the vendor goes into spec.vendor"),
        ("image", None, "Required value"),
        ("image", "", IMAGE),
        ("image", " nfs:1", IMAGE),
        ("image", "nfs:1\n", IMAGE),
        ("imagePullPolicy", "Sometimes", '"Always", "IfNotPresent", "Never"'),
        ("imagePullSecrets", [{"name": ""}], PULL_SECRET),
        ("imagePullSecrets", [{"name": "Pull_Secret"}], PULL_SECRET),
        ("imagePullSecrets", [{"name": "a"}, {"name": "a"}], "Duplicate value"),
        ("install.source", "", "source must be an absolute path"),
        ("install.source", "bin/nfs", "such as /bin/nfs"),
        ("install.source", "/bin/", "not of a directory"),
        ("install.source", "/bin/n\nfs", "must not contain control characters"),
        ("install.source", "/bin/n\x7ffs", "must not contain control characters"),
        ("pluginDir", "usr/libexec", f"an absolute path, such as {PLUGIN_DIR}"),
        ("pluginDir", "/", "must not be / itself"),
        ("pluginDir", "/usr/../etc", "must not have '.' or '..' as a component"),
        ("pluginDir", "/usr/libexec/..", "must not have '.' or '..' as a component"),
        ("pluginDir", "/./usr", "must not have '.' or '..' as a component"),
        ("pluginDir", "/usr//libexec", "write one '/' between components"),
        ("pluginDir", "/home/~me", "must not contain '~'"),
        ("pluginDir", "/usr/\tlibexec", "must not contain control characters"),
        ("verify.timeoutSeconds", 0, "between 1 and 300 seconds"),
        ("verify.timeoutSeconds", 301, "between 1 and 300 seconds"),
        ("verify.timeoutSeconds", -1, "between 1 and 300 seconds"),
        ("verify.timeoutSeconds", "30s", "must be of type integer"),
        ("placement.nodeSelector", {"a b": "c"}, f"'a b' {LABEL_KEY}"),
        ("placement.nodeSelector", {"a": "b c"}, f"'a' {LABEL_VALUE}"),
        ("placement.nodeSelector", {"a": "b" * 64}, "may not be more than 63"),
        ("placement.tolerations", [{"operator": "In"}], '"Equal", "Exists", "Gt", "Lt"'),
        ("placement.tolerations", [{"effect": "No"}], '"NoExecute", "NoSchedule"'),
        ("placement.priorityClassName", "p" * 254, "may not be more than 253"),
        ("podMetadata.labels", {"app.kubernetes.io/name": "a"}, BY_OPERATOR),
        ("podMetadata.labels", {"app.kubernetes.io/managed-by": "a"}, BY_OPERATOR),
        (
            "podMetadata.labels",
            {"flexvolume.io/driver": "a"},
            f"'flexvolume.io/driver' {BY_OPERATOR}",
        ),
        ("podMetadata.labels", {"/a": "b"}, f"'/a' {LABEL_KEY}"),
        ("podMetadata.labels", {"a": "-"}, f"'a' {LABEL_VALUE}"),
        ("podMetadata.annotations", {"FlexVolume.io/a": "b"}, BY_OPERATOR),
        ("podMetadata.annotations", {"a/b/c": "d"}, "'a/b/c' must be an annotation key"),
        ("resources.guard.limits", {"memory": "lots"}, f"memory {QUANTITY}"),
        ("resources.install.requests", {"cpu": "1 core"}, f"cpu {QUANTITY}"),
        ("suspend", "yes", "must be of type boolean"),
    ],
)
def test_is_refused_with_a_message_that_says_what_is_right(cluster, field, value, right):
    *parents, last = field.split(".")
    spec: Any = {last: value}
    for parent in reversed(parents):
        spec = {parent: spec}
    message = refusal(cluster, flexdriver(**spec))
    assert right in message
    assert f"spec.{field}" in message


@pytest.mark.parametrize(("spec", "field", "right"), specs.BAD, ids=str)
def test_is_refused_here_as_by_render(cluster, spec, field, right):
    message = refusal(cluster, flexdriver(**spec))
    assert right in message
    assert field in message


@pytest.mark.parametrize("name", ["n" * 41, "nfs.v2"])
def test_a_name_that_derived_names_cannot_carry_is_refused(cluster, name):
    assert "metadata.name must have at most 40 characters and no '.'" in refusal(
        cluster, flexdriver(name)
    )


def test_a_name_of_forty_characters_is_created(cluster):
    created(cluster, flexdriver("n" * 40))


def test_vendor_and_driver_have_to_fit_one_directory_name(cluster):
    message = refusal(cluster, flexdriver(vendor="v" * 200, driver="d" * 55))
    assert "at most 255 characters: choose a shorter vendor" in message


def test_an_object_without_spec_is_refused(cluster):
    body = flexdriver()
    del body["spec"]
    assert "spec: Required value" in refusal(cluster, body)


@pytest.mark.parametrize(("field", "old"), [("vendor", "example.com"), ("driver", "nfs")])
def test_the_name_that_volumes_use_cannot_be_changed(cluster, field, old):
    stored = created(cluster, flexdriver("immutable"), dry_run=False)
    try:
        stored["spec"][field] = "other"
        message = refusal(cluster, stored, "replace")
        assert f"spec.{field}" in message
        assert f"{field} cannot be changed" in message
        assert f"keep '{old}', or create another FlexDriver" in message
    finally:
        ok(cluster, "delete", "flexdriver", "immutable")
