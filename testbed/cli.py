"""The command line of the test cluster."""

import subprocess
import sys

import click

from testbed import builds, fakekubelets, fakes, packages, plugindir
from testbed.cluster import Cluster
from testbed.controlplane import server
from testbed.processes import running
from testbed.shell import ClusterError, say
from testbed.state import Config

named = click.option("--name", default="demo", show_default=True, help="Which cluster.")
by_way = click.option(
    "--plugin-dir-by",
    type=click.Choice(plugindir.WAYS),
    default="config",
    show_default=True,
    help="How a kubelet is told its directory.",
)


class Commands(click.Group):
    """Commands whose known errors end the program with a message instead of a trace."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ClusterError as problem:
            say(f"error: {problem}")
            sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run real Kubernetes on this machine, for tests and the demo.

    Needs root, Go and apt. Programs are built once and kept in $FLEXVOLUME_CACHE; a cluster
    lives in $FLEXVOLUME_STATE and is gone without a trace after `down`.
    """


@main.command()
@named
@click.option("--nodes", default=1, show_default=True, help="How many real nodes.")
@click.option(
    "--plugin-dir",
    default=plugindir.DEFAULT,
    show_default=True,
    help="The kubelets' volume plugin directory.",
)
@by_way
@click.option(
    "--controller-manager-plugin-dir",
    default="",
    help="The controller-manager's plugin directory, a path of this machine. [default: its own]",
)
def up(
    name: str, nodes: int, plugin_dir: str, plugin_dir_by: str, controller_manager_plugin_dir: str
) -> None:
    """Bring a cluster up; does nothing if it is up already."""
    config = Config(
        nodes=nodes,
        plugin_dir=plugin_dir,
        plugin_dir_by=plugin_dir_by,
        controller_manager_plugin_dir=controller_manager_plugin_dir,
    )
    cluster = Cluster(name, config)
    if not cluster.up():
        say(f"cluster {name} is up already")
    click.echo(cluster.kubeconfig)


@main.command()
@named
def down(name: str) -> None:
    """Take a cluster away with everything that was made for it."""
    gone = Cluster(name).down()
    say(f"cluster {name} is gone" if gone else f"there is no cluster {name}")


@main.command()
@named
def kubeconfig(name: str) -> None:
    """Print the path of the administrator's kubeconfig."""
    click.echo(Cluster(name).kubeconfig)


@main.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@named
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(name: str, arguments: tuple[str, ...]) -> None:
    """Run kubectl as the administrator."""
    command = [*Cluster(name).kubectl_command, *arguments]
    sys.exit(subprocess.run(command, check=False).returncode)


@main.command()
@named
def status(name: str) -> None:
    """Tell what runs, and where it can be looked at."""
    cluster = Cluster(name)
    layout = cluster.layout
    click.echo(f"cluster {name}: {'up' if cluster.is_up else 'not up'}")
    click.echo(f"  network     {layout.network}, API server {server(layout)}")
    click.echo(f"  kubeconfig  {cluster.kubeconfig}")
    click.echo(f"  logs        {layout.logs}")
    for role, pids in sorted(running(layout.state).items()):
        click.echo(f"  {role:30} {' '.join(map(str, pids))}")


@main.command()
@named
@click.argument("images", nargs=-1, required=True)
def load(name: str, images: tuple[str, ...]) -> None:
    """Load images into every real node: OCI or Docker archives, or names of images built here."""
    for image in images:
        Cluster(name).load_image(image)


@main.command("images")
def build_images() -> None:
    """Build the operator's, the installer's and the examples' images; print their archives."""
    for reference, archive in Cluster.build_images().items():
        click.echo(f"{reference}  {archive}")


@main.command()
def helm() -> None:
    """Print the path of the helm program, which is built if need be."""
    click.echo(builds.build(builds.HELM))


@main.command()
def prepare() -> None:
    """Install the packages and build the programs that `up` needs, and nothing else."""
    packages.ensure()
    for program in (builds.PAUSE, builds.KUBERNETES, builds.HELM):
        click.echo(builds.build(program))


@main.command()
@named
@click.option("--fake", "count", type=click.IntRange(0, 9999), required=True, help="How many.")
@click.option("--shape", type=click.Choice(fakes.SHAPES), help="How installer pods fail on them.")
@click.option("--pool", default="", help="Have them named fake-POOL-0001 and so on.")
@click.option(
    "--port", default=fakekubelets.PORT, show_default=True, help="The port of their kubelets."
)
def nodes(name: str, count: int, shape: str | None, pool: str, port: int) -> None:
    """Have exactly that many fake nodes (of a shape or a pool)."""
    Cluster(name).fake_nodes(count, shape or "", pool=pool, port=port)


@main.command()
@named
@click.argument("action", type=click.Choice(["start", "stop"]))
@click.argument("node")
def kubelet(name: str, action: str, node: str) -> None:
    """Start or stop the kubelet of a real node; its pods go on."""
    chosen = Cluster(name).node(node)
    if action == "start":
        chosen.start_kubelet()
    else:
        chosen.stop_kubelet()


@main.command()
@named
@by_way
@click.argument("node")
@click.argument("plugin_dir")
def reconfigure(name: str, plugin_dir_by: str, node: str, plugin_dir: str) -> None:
    """Tell the kubelet of a real node another plugin directory; its pods go on."""
    Cluster(name).node(node).reconfigure(plugin_dir, plugin_dir_by)


@main.command()
@named
@click.argument("action", type=click.Choice(["on", "off"]))
@click.argument("node")
def power(name: str, action: str, node: str) -> None:
    """Switch a real node on (a new boot) or off (everything on it ends at once)."""
    chosen = Cluster(name).node(node)
    if action == "on":
        chosen.power_on()
    else:
        chosen.power_off()
