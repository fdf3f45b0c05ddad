import yaml

from flexvolume_operator import assets


def test_templates_are_found():
    assert "kind: DaemonSet" in assets.template("daemonset.yaml.j2")


def test_crds_are_found_in_order():
    kinds = [yaml.safe_load(text)["spec"]["names"]["kind"] for text in assets.crds()]
    assert kinds == ["FlexDriver", "FlexNode"]
