"""What the node program is told on its command line: everything it knows of a FlexDriver."""

from collections.abc import Iterable, Iterator

from flexvolume_operator.model.flexdriver import FlexDriver, FlexDriverSpec
from flexvolume_operator.model.install import InstallFile
from flexvolume_operator.render.gate import Place
from flexvolume_operator.render.yaml import verbatim

RIVAL = "--rival="
# Where the content of ConfigMaps and Secrets is mounted, each below its number in the list.
FILES = "/flexvolume-files"
# Where the pod's own annotation is mounted that says that it is its turn.
TURN = "/flexvolume-turn"
_ID = "--install-id=$(FLEXVOLUME_POD_UID)"
# An image that copies its driver by itself has so long, from the start of install.
_SETTLE = "60s"


def install(
    flexdriver: FlexDriver, place: Place, revision: str, rivals: Iterable[str]
) -> list[str]:
    """The arguments of install."""
    spec = flexdriver.spec
    return [
        *_place(spec, place),
        f"--source={verbatim(spec.source)}",
        *([f"--settle={_SETTLE}"] if spec.install.method == "Entrypoint" else []),
        *(_file(number, file) for number, file in enumerate(spec.install.files)),
        f"--flexdriver={flexdriver.name}",
        f"--flexdriver-uid={flexdriver.uid or 'none'}",
        f"--revision={revision}",
        f"--verify={spec.verify.policy}",
        f"--timeout={spec.verify.timeout_seconds}s",
        f"--adoption-policy={spec.adoption_policy}",
        *([f"--turn={TURN}/adopt"] if spec.adoption_policy == "Always" else []),
        *(["--dry-run"] if spec.dry_run else []),
        *_requirements(spec),
        f"--role={place.role}",
        *(["--force-plugin-dir"] if place.force else []),
        _ID,
        *(f"{RIVAL}{rival}" for rival in sorted(rivals)),
    ]


def guard(spec: FlexDriverSpec, place: Place) -> list[str]:
    """The arguments of guard, which has nothing to guard after a dry run."""
    return [*_place(spec, place), _ID, *(["--idle"] if spec.dry_run else [])]


def _place(spec: FlexDriverSpec, place: Place) -> list[str]:
    return [
        f"--plugin-dir={verbatim(place.plugin_dir)}",
        f"--vendor={spec.vendor}",
        f"--driver={spec.driver}",
    ]


def _file(number: int, file: InstallFile) -> str:
    source = file.image.path if file.image is not None else f"{FILES}/{number}/content"
    return f"--file={file.permissions},{file.path},{verbatim(source)}"


def _requirements(spec: FlexDriverSpec) -> Iterator[str]:
    needs = spec.requirements
    for flag, values in (
        ("command", needs.commands),
        ("module", needs.kernel_modules),
        ("path", needs.paths),
    ):
        yield from (f"--require-{flag}={verbatim(value)}" for value in values)
