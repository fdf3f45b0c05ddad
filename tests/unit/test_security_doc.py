"""docs/security.md tells of every right that installer pods have, and of no other."""

from pathlib import Path

from flexvolume_operator.model import names
from flexvolume_operator.model.flexdriver import parse_flexdriver
from flexvolume_operator.render.daemonset import Installer, render
from flexvolume_operator.render.gate import Place

TEXT = (Path(__file__).resolve().parents[2] / "docs/security.md").read_text()


def told() -> set[tuple[str, str]]:
    """Containers with their capabilities, from the table."""
    found, name = set(), ""
    section = TEXT.partition("\n| container | gets |")[2].partition("\n\n")[0]
    for row in section.splitlines()[2:]:
        who, what, *_ = (cell.strip() for cell in row.strip("|").split("|"))
        name = who or name
        found.add((name.replace("`", ""), what.replace("`", "")))
    return found


def rendered(**spec):
    """The same from a DaemonSet; a container with none gets nothing."""
    own = {"vendor": "example.com", "driver": "nfs", "image": "registry.example/nfs:1"}
    kind = {"apiVersion": names.API_VERSION, "kind": "FlexDriver"}
    driver = parse_flexdriver({**kind, "metadata": {"name": "nfs"}, "spec": own | spec})
    place = Place(names.DEFAULT_PLUGIN_DIR)
    manifest = render(driver, place, Installer("installers", "installer:1")).manifest
    pod = manifest["spec"]["template"]["spec"]
    contexts = {
        c["name"]: c["securityContext"] for c in (*pod["initContainers"], *pod["containers"])
    }
    return {
        (name, added)
        for name, context in contexts.items()
        for added in (
            ["privileged"]
            if context.get("privileged")
            else context["capabilities"].get("add") or ["nothing"]
        )
    }


def test_the_rights_of_containers_are_those_that_are_rendered():
    usual, privileged = rendered(), rendered(verify={"context": "HostPrivileged"})
    image = rendered(install={"method": "Entrypoint"})
    more = {(f"{name} with context: HostPrivileged", right) for name, right in privileged - usual}
    assert told() == usual | image | more
