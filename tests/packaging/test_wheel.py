"""The wheel is complete without the repository around it: templates, CRDs, contract and command.

In a checkout all of these are found at its root, so no other test would miss them.
"""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ASSETS = "flexvolume_operator/_assets"


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a command that knows nothing of the checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built by way of the sdist, as a release is."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The command in an environment that has our wheel and borrows its dependencies from here."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin/python"]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    site = sysconfig.get_path("purelib", "venv", {"base": str(folder)})
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin/flexvolume-operator"


@pytest.mark.parametrize(
    ("folder", "packaged"), [("templates", f"{ASSETS}/templates"), ("crds", f"{ASSETS}/crds")]
)
def test_the_wheel_carries_every_file_of(folder, packaged, wheel):
    with zipfile.ZipFile(wheel) as archive:
        for file in (ROOT / folder).iterdir():
            assert archive.read(f"{packaged}/{file.name}") == file.read_bytes()


def test_the_wheel_carries_the_contract_with_the_node_program(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packaged = archive.read(f"{ASSETS}/contract.json")
    assert packaged == (ROOT / "installer/report/contract.json").read_bytes()


def test_the_wheel_carries_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0].split("-")[0] for name in archive.namelist()}
    assert tops == {"flexvolume_operator"}


def test_the_installed_command_tells_its_version(installed, wheel):
    assert run(installed, "version", cwd=installed.parent).strip() == wheel.name.split("-")[1]


def test_the_installed_command_prints_the_crds(installed):
    printed = run(installed, "crds", cwd=installed.parent)
    assert "name: flexdrivers.flexvolume.io" in printed
    assert "name: flexnodes.flexvolume.io" in printed


def test_the_installed_command_renders_a_driver(installed):
    driver = ROOT / "examples/hostfile/flexdriver.yaml"
    printed = run(installed, "render", "-f", driver, cwd=installed.parent)
    assert "kind: DaemonSet" in printed
    assert "localhost/hostfile:dev" in printed


def test_what_runs_is_the_wheel_and_not_the_checkout(installed):
    python = installed.parent / "python"
    program = "import flexvolume_operator as package; print(package.__file__)"
    where = run(python, "-c", program, cwd=installed.parent)
    assert Path(where.strip()).is_relative_to(installed.parent.parent)


def test_the_folder_operator_does_not_shadow_the_standard_library():
    assert not (ROOT / "operator/__init__.py").exists()
    run(sys.executable, "-c", "import operator, collections; operator.itemgetter", cwd=ROOT)


def test_requirements_name_what_the_package_declares():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    lines = (ROOT / "requirements/runtime.in").read_text().splitlines()
    wanted = {line for line in lines if line and not line.startswith("#")}
    assert wanted == {Requirement(text).name for text in declared}


@pytest.mark.parametrize(
    "file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda f: f.name
)
def test_requirements_are_hashed_and_name_no_place_to_download_from(file):
    text = file.read_text()
    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith("-")]
    pins = text.replace("\\\n", "").splitlines()
    assert all("--hash=sha256:" in line for line in pins if "==" in line)
