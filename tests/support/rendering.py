"""The DaemonSet of a driver without an operator, as docs/manual-install.md has it."""

import subprocess
import sys
from pathlib import Path

import yaml

from testbed import images
from tests.support import drivers
from tests.support.kit import INSTALLERS, Kit, flexdriver, until


def prepare(kit: Kit) -> None:
    """What a cluster without an operator needs before anything is rendered."""
    kit.cluster.kubectl("create", "namespace", INSTALLERS)
    account = ("serviceaccount", "flexvolume-installer")
    kit.cluster.kubectl("create", *account, f"--namespace={INSTALLERS}")


def render(kit: Kit, folder: Path, name: str, content: bytes) -> str:
    """Load an image with the driver into the nodes; the manifest that installs it."""
    reference, archive = drivers.archive(folder, name, {f"/{name}": content})
    kit.cluster.load_image(archive)
    written = folder / f"{name}.yaml"
    written.write_text(yaml.safe_dump(flexdriver(name, reference)))
    command = [sys.executable, "-m", "flexvolume_operator", "render", f"--filename={written}"]
    done = subprocess.run(
        [*command, f"--installer-image={images.INSTALLER}"],
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def install(kit: Kit, name: str, manifest: str) -> None:
    """Apply the manifest and wait until the driver is installed."""
    kit.cluster.kubectl("apply", "--server-side", "--filename=-", stdin=manifest)
    until(lambda: _is_ready(kit, name), 60, f"{name} is installed")


def withdraw(kit: Kit, name: str) -> None:
    """Delete the DaemonSet and wait for its pod's end; the driver stays."""
    kit.cluster.kubectl("delete", "daemonset", f"--selector={_of(name)}", f"-n={INSTALLERS}")
    until(lambda: not kit.list("pods", _of(name), INSTALLERS), 30, "its pod is gone")


def _is_ready(kit: Kit, name: str) -> bool:
    found = kit.list("daemonsets", _of(name), INSTALLERS)
    return any(daemonset.get("status", {}).get("numberReady") for daemonset in found)


def _of(name: str) -> str:
    return f"flexvolume.io/driver={name}"
