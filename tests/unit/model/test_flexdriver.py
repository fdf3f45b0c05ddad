import copy
from typing import Any

import pytest

from flexvolume_operator.model.flexdriver import InvalidFlexDriver, parse_flexdriver, parse_metadata
from flexvolume_operator.model.install import Reference
from tests.support import specs

BODY: dict[str, Any] = {
    "apiVersion": "flexvolume.io/v1alpha1",
    "kind": "FlexDriver",
    "metadata": {"name": "nfs", "uid": "u", "generation": 3, "finalizers": ["f"]},
    "spec": {"vendor": "example.com", "driver": "nfs", "image": "registry.example/nfs:1"},
}


def body(**spec):
    changed = copy.deepcopy(BODY)
    changed["spec"] |= spec
    return changed


def test_what_is_left_out_has_the_defaults_of_the_schema():
    spec = parse_flexdriver(BODY).spec
    assert spec.source == "/nfs"
    assert spec.plugin_dir == ""
    assert spec.image_pull_policy == "IfNotPresent"
    assert (spec.verify.policy, spec.verify.context, spec.verify.timeout_seconds) == (
        "Enforce",
        "Host",
        30,
    )
    assert [t.wire() for t in spec.placement.tolerations] == [{"operator": "Exists"}]
    assert spec.placement.priority_class_name == "system-node-critical"
    assert spec.pod_security.se_linux_options.wire() == {"type": "spc_t"}
    assert (spec.adoption_policy, spec.dry_run, spec.suspend) == ("IfIdentical", False, False)
    assert (spec.install.method, spec.install.files) == ("Copy", [])
    assert spec.requirements.wire() == {
        "commands": [],
        "kernelModules": [],
        "paths": [],
        "architectures": [],
    }


def test_a_full_spec_is_read():
    terms = [{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}]}]
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
        },
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []},
    }
    flexdriver = parse_flexdriver(
        body(
            imagePullPolicy="Always",
            imagePullSecrets=[{"name": "pull"}],
            install={"method": "Copy", "source": "/bin/nfs"},
            pluginDir="/opt/flex/",
            verify={"policy": "Skip", "context": "Host", "timeoutSeconds": 300},
            placement={"nodeSelector": {"a": "b"}, "affinity": affinity, "tolerations": []},
            podMetadata={"labels": {"l": "1"}, "annotations": {"a": "2"}},
            podSecurity={"seLinuxOptions": {}},
            resources={"install": {"limits": {"cpu": 1, "memory": "1Gi"}}},
            suspend=True,
        )
    )
    spec = flexdriver.spec
    assert spec.source == "/bin/nfs"
    assert spec.plugin_dir == "/opt/flex"
    assert spec.placement.affinity.wire() == affinity
    assert spec.placement.tolerations == []
    assert spec.resources.install.limits == {"cpu": "1", "memory": "1Gi"}
    assert spec.pod_security.se_linux_options.wire() == {}
    assert flexdriver.driver_name == "example.com/nfs"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"vendor": "Example.com"}, "spec.vendor"),
        ({"vendor": "a~b"}, "spec.vendor"),
        ({"vendor": "a/b"}, "spec.vendor"),
        ({"vendor": "kubernetes.io"}, "spec.vendor"),
        ({"vendor": "storage.kubernetes.io"}, "spec.vendor"),
        ({"driver": "-nfs"}, "spec.driver"),
        ({"driver": "n" * 64}, "spec.driver"),
        ({"driver": "a/b"}, "spec.driver"),
        ({"image": ""}, "spec.image"),
        ({"image": "a b"}, "spec.image"),
        ({"install": {"source": "nfs"}}, "spec.install.source"),
        ({"install": {"source": "/n\tfs"}}, "spec.install.source"),
        ({"pluginDir": "/"}, "spec.pluginDir"),
        ({"pluginDir": "/a/../b"}, "spec.pluginDir"),
        ({"verify": {"timeoutSeconds": 0}}, "spec.verify.timeoutSeconds"),
        ({"verify": {"timeoutSeconds": 301}}, "spec.verify.timeoutSeconds"),
        ({"verify": {"timeoutSeconds": "30"}}, "spec.verify.timeoutSeconds"),
        ({"placement": {"tolerations": [{"ky": "a"}]}}, "spec.placement.tolerations[0].ky"),
        ({"suspend": "yes"}, "spec.suspend"),
        ({"colour": "red"}, "spec.colour"),
    ],
)
def test_a_wrong_value_is_named_with_its_field(spec, field):
    with pytest.raises(InvalidFlexDriver) as caught:
        parse_flexdriver(body(**spec))
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
    assert caught.value.right


@pytest.mark.parametrize("spec", specs.GOOD, ids=str)
def test_what_the_api_server_takes_is_read(spec):
    assert parse_flexdriver(body(**spec)).spec.driver == "nfs"


@pytest.mark.parametrize(("spec", "field", "right"), specs.BAD, ids=str)
def test_what_the_api_server_refuses_is_refused_with_the_same_words(spec, field, right):
    with pytest.raises(InvalidFlexDriver) as caught:
        parse_flexdriver(body(**spec))
    assert caught.value.field.startswith(field)
    assert right in caught.value.right


def test_files_tell_where_their_content_is_kept_and_with_which_permissions():
    files = [specs.FROM_IMAGE, specs.FROM_CONFIG_MAP, specs.FROM_SECRET]
    spec = parse_flexdriver(body(install={"files": files})).spec
    assert spec.references == {
        "spec.install.files[1].configMapKeyRef": Reference("ConfigMap", "nfs", "nfs.conf"),
        "spec.install.files[2].secretKeyRef": Reference("Secret", "nfs.v1", "..k"),
    }
    assert [file.permissions for file in spec.install.files] == ["0755", "0755", "0400"]
    secret = {key: value for key, value in specs.FROM_SECRET.items() if key != "mode"}
    (alone,) = parse_flexdriver(body(install={"files": [secret]})).spec.install.files
    assert alone.permissions == "0600"


def test_an_image_that_runs_by_itself_leaves_its_driver_where_kubernetes_example_does():
    spec = parse_flexdriver(body(install={"method": "Entrypoint"})).spec
    assert spec.source == "/flexmnt/example.com~nfs/nfs"


@pytest.mark.parametrize("missing", ["vendor", "driver", "image"])
def test_a_missing_field_is_named(missing):
    incomplete = copy.deepcopy(BODY)
    del incomplete["spec"][missing]
    with pytest.raises(InvalidFlexDriver, match=f"spec.{missing}"):
        parse_flexdriver(incomplete)


def test_no_spec_at_all_is_told():
    with pytest.raises(InvalidFlexDriver, match="spec"):
        parse_flexdriver({k: v for k, v in BODY.items() if k != "spec"})


@pytest.mark.parametrize("name", ["", "n" * 41, "a.b", "-a", "A"])
def test_a_name_that_makes_no_labels_is_refused(name):
    with pytest.raises(InvalidFlexDriver, match=r"metadata\.name"):
        parse_flexdriver(BODY | {"metadata": {"name": name}})


@pytest.mark.parametrize("field", ["apiVersion", "kind"])
def test_another_kind_is_refused(field):
    with pytest.raises(InvalidFlexDriver, match=field):
        parse_flexdriver(BODY | {field: "v1"})


def test_a_long_value_is_shown_in_short():
    with pytest.raises(InvalidFlexDriver) as caught:
        parse_flexdriver(body(vendor="A" * 5000))
    assert len(str(caught.value)) < 300


def test_metadata_is_read_whatever_the_spec_says():
    deleted = {"metadata": BODY["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    metadata = parse_metadata(deleted | {"spec": 5})
    assert (metadata.name, metadata.generation, metadata.finalizers) == ("nfs", 3, ("f",))
    assert metadata.deleting
