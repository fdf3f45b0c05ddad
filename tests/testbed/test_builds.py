from dataclasses import replace

import pytest

from testbed import ClusterError
from testbed.builds import COMPONENTS, KUBERNETES, PAUSE, build


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FLEXVOLUME_CACHE", str(tmp_path))
    return tmp_path


def test_a_program_is_built_once_and_again_when_an_input_changes(capsys):
    first = build(PAUSE)
    assert "building the pause program (once, some seconds) ..." in capsys.readouterr().err
    assert build(PAUSE) == first
    assert capsys.readouterr().err == ""
    assert build(replace(PAUSE, tags="other")) != first


def test_a_failed_build_names_its_log_and_is_not_taken_for_a_program(cache):
    wrong = replace(PAUSE, package="./nowhere")
    with pytest.raises(ClusterError, match=r"the build failed; .*build\.log(.|\n)*nowhere"):
        build(wrong)
    assert not list(cache.rglob("pause"))


def test_kubernetes_has_every_component_under_its_own_name():
    main = (KUBERNETES.module / "main.go").read_text()
    assert all(f'"{component}":' in main for component in COMPONENTS)
