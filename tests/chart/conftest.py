"""The chart as Helm renders it: the real program, no cluster."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed import builds

CHART = Path(__file__).resolve().parents[2] / "charts/flexvolume-operator"
RELEASE = "flexvolume-operator"


@pytest.fixture(scope="session")
def helm():
    """The program: HELM, else the one that the test cluster uses, built if need be."""
    return os.environ.get("HELM") or str(builds.build(builds.HELM))


@pytest.fixture(scope="session")
def template(helm):
    """Runs `helm template` with values as for --set and returns the process, failed or not."""

    def run(*values: str, release: str = RELEASE) -> subprocess.CompletedProcess[str]:
        command = [helm, "template", release, str(CHART), "--namespace=flexvolume-system"]
        command += [f"--set={value}" for value in values]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def render(template):
    """The manifests that the chart makes of values."""

    def run(*values: str, release: str = RELEASE) -> list[dict[str, Any]]:
        done = template(*values, release=release)
        assert done.returncode == 0, done.stderr
        return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]

    return run


@pytest.fixture(scope="session")
def manifests(render):
    """What the chart makes of its defaults."""
    return render()
