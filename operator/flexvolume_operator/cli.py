"""The command line: `run` in the cluster; `render` and `crds` at a desk or in a pipeline."""

import asyncio
import logging
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import click
import yaml

from flexvolume_operator import __version__, assets
from flexvolume_operator.directories.pools import InvalidPools, parse_pools
from flexvolume_operator.directories.resolve import guess
from flexvolume_operator.model.flexdriver import InvalidFlexDriver, parse_flexdriver
from flexvolume_operator.model.names import InvalidPluginDir, normalise_plugin_dir
from flexvolume_operator.settings import Settings

_ENV = "FLEXVOLUME"


def _plugin_dir(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return normalise_plugin_dir(value) if value else ""
    except InvalidPluginDir as error:
        raise click.BadParameter(str(error)) from error


def _pools(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        parse_pools(value)
    except InvalidPools as error:
        raise click.BadParameter(str(error)) from error
    return value


def _authority(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    try:
        if value:
            ssl.create_default_context(cafile=value)
    except ssl.SSLError as error:
        raise click.BadParameter(f"{value} holds no certificates (PEM): {error}") from error
    return value or ""


def _account(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value and not all(value.partition("/")):
        raise click.BadParameter(f"{value!r} is not NAMESPACE/NAME")
    return value


def _listen(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    port = value.rpartition(":")[2]
    if not (port.isdigit() and 0 <= int(port) < 65536):
        raise click.BadParameter(f"{value!r} is not HOST:PORT or :PORT, for example :8080")
    return value


installer_options = [
    click.option(
        "--installer-image",
        default="flexvolume-installer:" + __version__,
        show_default=True,
        envvar=f"{_ENV}_INSTALLER_IMAGE",
        help="Image of the node program.",
    ),
    click.option(
        "--installer-image-pull-policy",
        type=click.Choice(["Always", "IfNotPresent", "Never"]),
        default="IfNotPresent",
        show_default=True,
        envvar=f"{_ENV}_INSTALLER_IMAGE_PULL_POLICY",
        help="When nodes pull that image.",
    ),
    click.option(
        "--installer-namespace",
        default="flexvolume-installers",
        show_default=True,
        envvar=f"{_ENV}_INSTALLER_NAMESPACE",
        help="Namespace of the installer pods; it must allow privileged pods.",
    ),
    click.option(
        "--volume-plugin-dir",
        default="",
        callback=_plugin_dir,
        envvar=f"{_ENV}_VOLUME_PLUGIN_DIR",
        help="The kubelets' --volume-plugin-dir, where neither a FlexDriver nor the kubelet says."
        "  [default: by the node's platform]",
    ),
]


def _installer(command: Any) -> Any:
    for option in reversed(installer_options):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Installs FlexVolume drivers on every node and proves that they work there."""


@main.command()
@_installer
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    envvar=f"{_ENV}_KUBECONFIG",
    help="Reach the cluster by this file.  [default: the pod's ServiceAccount]",
)
@click.option(
    "--plugin-dir-pools",
    default="",
    callback=_pools,
    envvar=f"{_ENV}_PLUGIN_DIR_POOLS",
    help="Directories of pools of nodes, before what kubelets say: JSON, a list of"
    " {selector: LabelSelector, path}.",
)
@click.option(
    "--flex-volume-plugin-dir",
    default="",
    callback=_plugin_dir,
    envvar=f"{_ENV}_FLEX_VOLUME_PLUGIN_DIR",
    help="The controller-managers' --flex-volume-plugin-dir, where nobody can see it.",
)
@click.option(
    "--kubelet-account",
    default="",
    callback=_account,
    envvar=f"{_ENV}_KUBELET_ACCOUNT",
    help="NAMESPACE/NAME of the ServiceAccount as which kubelets are asked for their directory;"
    " it needs no right but to get nodes/configz.  [default: kubelets are not asked]",
)
@click.option(
    "--kubelet-certificate-authority",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    callback=_authority,
    envvar=f"{_ENV}_KUBELET_CERTIFICATE_AUTHORITY",
    help="PEM file with the authority of the kubelets' certificates.  [default: the cluster's]",
)
@click.option(
    "--kubelet-require-verified-tls",
    is_flag=True,
    envvar=f"{_ENV}_KUBELET_REQUIRE_VERIFIED_TLS",
    help="Do not ask kubelets whose certificate is of another authority.  [default: ask them, and"
    " mark their answers as NotVerified]",
)
@click.option(
    "--lease-namespace",
    default="",
    envvar=f"{_ENV}_LEASE_NAMESPACE",
    help="Namespace of the Lease that lets one replica act at a time.  [default: no Lease]",
)
@click.option(
    "--identity",
    default=socket.gethostname,
    envvar=f"{_ENV}_IDENTITY",
    help="Our name in the Lease.  [default: the host name]",
)
@click.option(
    "--listen",
    default=":8080",
    show_default=True,
    callback=_listen,
    envvar=f"{_ENV}_LISTEN",
    help="HOST:PORT for /healthz, /readyz and /metrics.",
)
@click.option(
    "--log-format",
    type=click.Choice(["json", "text"]),
    default="text",
    show_default=True,
    envvar=f"{_ENV}_LOG_FORMAT",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar=f"{_ENV}_LOG_LEVEL",
)
def run(
    log_format: str,
    log_level: str,
    kubeconfig: str | None,
    **options: Any,
) -> None:
    """Run the operator until it is told to stop."""
    # kopf and the Kubernetes client take most of a second to import; the other commands do not
    # need them.
    from flexvolume_operator import handlers  # noqa: PLC0415

    handlers.configure_logging(json=log_format == "json", level=getattr(logging, log_level.upper()))
    asyncio.run(handlers.run(Settings(kubeconfig=kubeconfig or "", **options)))


@main.command()
@click.option(
    "-f",
    "--filename",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    required=True,
    help="YAML file with FlexDrivers; - reads standard input.",
)
@_installer
def render(
    filename: str,
    installer_image: str,
    installer_image_pull_policy: str,
    installer_namespace: str,
    volume_plugin_dir: str,
) -> None:
    """Print the manifests that would be applied for the FlexDrivers in a file."""
    from flexvolume_operator.render.daemonset import Installer, render  # noqa: PLC0415
    from flexvolume_operator.render.gate import Place  # noqa: PLC0415

    installer = Installer(installer_namespace, installer_image, installer_image_pull_policy)
    text = sys.stdin.read() if filename == "-" else Path(filename).read_text(encoding="utf-8")
    try:
        documents = list(yaml.safe_load_all(text))
        drivers = [
            parse_flexdriver(document)
            for document in documents
            if isinstance(document, dict) and document.get("kind") == "FlexDriver"
        ]
    except (yaml.YAMLError, InvalidFlexDriver) as error:
        raise click.ClickException(f"{filename}: {error}") from error
    if not drivers:
        raise click.ClickException(f"{filename}: no FlexDriver in it")
    manifests = [
        render(
            driver,
            Place(
                driver.spec.plugin_dir or guess(None, volume_plugin_dir)[0],
                gated=False,
                force=driver.force,
            ),
            installer,
            rivals=sorted(
                other.name
                for other in drivers
                if other.name != driver.name and other.spec.driver_name == driver.spec.driver_name
            ),
        ).manifest
        for driver in drivers
    ]
    click.echo(yaml.safe_dump_all(manifests, sort_keys=False, explicit_start=True), nl=False)


@main.command()
def crds() -> None:
    """Print the CustomResourceDefinitions."""
    click.echo("---\n".join(assets.crds()), nl=False)


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)
