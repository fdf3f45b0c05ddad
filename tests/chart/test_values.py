"""What the chart refuses: a wrong value has to be named before anything is installed."""

import json
from pathlib import Path

import pytest
import yaml

CHART = Path(__file__).resolve().parents[2] / "charts/flexvolume-operator"


@pytest.mark.parametrize(
    ("value", "place", "right"),
    [
        ("replica=2", "", "'replica' not allowed"),
        ("installer.namspace=a", "/installer", "'namspace' not allowed"),
        ("replicas=3", "/replicas", "maximum: got 3, want 2"),
        ("replicas=0", "/replicas", "minimum: got 0, want 1"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"),
        ("image.digest=abc", "/image/digest", "sha256:"),
        ("image.repository=", "/image/repository", "minLength: got 0, want 1"),
        ("installer.namespace=My_Namespace", "/installer/namespace", "does not match pattern"),
        ("installer.createNamespace=maybe", "/installer/createNamespace", "want boolean"),
        ("volumePluginDir=var/lib", "/volumePluginDir", "does not match pattern"),
        ("volumePluginDir=/a//b", "/volumePluginDir", "does not match pattern"),
        ("volumePluginDir=/a/../b", "/volumePluginDir", "'not' failed"),
        ("volumePluginDir=/", "/volumePluginDir", "'not' failed"),
        ("flexVolumePluginDir=x", "/flexVolumePluginDir", "does not match pattern"),
        ("kubelet.discover=true", "/kubelet", "'discover' not allowed"),
        ("kubelet.discovery=1", "/kubelet/discovery", "want boolean"),
        ("pluginDirPools[0].path=/a", "/pluginDirPools/0", "missing property 'selector'"),
        ("pluginDirPools[0].selector.matchLabel.a=b", "/pluginDirPools/0/selector", "'matchLabel'"),
        ("log.level=loud", "/log/level", "'debug', 'info', 'warning', 'error'"),
        ("log.format=xml", "/log/format", "'json', 'text'"),
        ("resources.claims=a", "/resources", "'claims' not allowed"),
        ("nodeSelector.a=1", "/nodeSelector/a", "want string"),
    ],
)
def test_a_wrong_value_is_named(template, value, place, right):
    done = template(value)
    assert done.returncode != 0
    assert f"at '{place}'" in done.stderr
    assert right in done.stderr


def test_installers_cannot_be_in_a_namespace_that_helm_is_to_create_and_that_is_there(template):
    done = template("installer.namespace=flexvolume-system")
    assert "installer.namespace must not be the release namespace" in done.stderr


def test_values_of_a_parent_chart_are_let_through(template):
    assert template("global.anything=1").returncode == 0


def test_every_value_is_in_the_schema_and_the_other_way_round():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    for name in ("crds", "installer", "kubelet", "log", "service"):
        assert set(values[name]) == set(schema["properties"][name]["properties"])
    for image in (values["image"], values["installer"]["image"]):
        assert set(image) == set(schema["definitions"]["image"]["properties"])
