"""Container images without a daemon and without a registry: built once, kept as archives.

An archive's file name holds a hash of what it was made from, and a link beside it, named after
the image alone, leads to the latest one.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed import builder, builds, controllers, dockerfile, oci, packages, state
from testbed.layout import cache_root
from testbed.oci import File, Image, Link
from testbed.shell import ClusterError, run, say

ROOT = Path(__file__).parent.parent
OPERATOR = "localhost/flexvolume-operator:dev"
INSTALLER = "localhost/flexvolume-installer:dev"
BUSYBOX = "localhost/busybox:dev"
CONTROLLER_MANAGER = "localhost/kube-controller-manager:dev"
CONTROLLER_MANAGER_WITH_SHELL = "localhost/controller-manager-with-shell:dev"
SHELL = Path("/bin/busybox")


@dataclass(frozen=True)
class Source:
    """A Dockerfile in a folder and what its image is called."""

    reference: str
    folder: Path
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)

    def archive(self) -> Path:
        """The archive; builds it first if these inputs have never been built."""
        return _cached(self.reference, self._fingerprint(), self._build)

    def _build(self, archive: Path) -> None:
        with builder.storage() as buildah, tempfile.NamedTemporaryFile("w") as file:
            file.write(self._dockerfile())
            file.flush()
            how = ["--isolation=chroot", "--network=host", f"--file={file.name}"]
            how += [f"--build-arg={name}={value}" for name, value in self.arguments.items()]
            if builder.BASE in self.arguments.values():
                builder.ensure_base(buildah)
                how += builder.machine_volumes()
            name = self.reference
            run([*buildah, "bud", "--quiet", "--layers", *how, f"--tag={name}", str(self.folder)])
            run([*buildah, "push", name, f"docker-archive:{archive}:{name}"])
            run([*buildah, "rmi", "--force", name])

    def _dockerfile(self) -> str:
        return dockerfile.reduced((self.folder / "Dockerfile").read_text(), self.target)

    def _fingerprint(self) -> str:
        """A hash of the instructions and of every file they copy from the folder."""
        text = self._dockerfile()
        digest = hashlib.sha256(f"{sorted(self.arguments.items())}\0{text}".encode())
        for pattern in sorted(dockerfile.copied(text)):
            for found in sorted(self.folder.glob(pattern)):
                for file in (found,) if found.is_file() else _files_below(found):
                    mode = file.stat().st_mode & 0o777
                    digest.update(f"{file.relative_to(self.folder)} {mode:o}\0".encode())
                    digest.update(file.read_bytes())
        return digest.hexdigest()[:12]


def own() -> Sequence[Source]:
    """The two images of this repository."""
    arguments = {"GO_IMAGE": builder.BASE, "PYTHON_IMAGE": builder.BASE}
    return [
        Source(INSTALLER, ROOT, "installer", arguments),
        Source(OPERATOR, ROOT, "operator", arguments),
    ]


def example(folder: Path) -> Source:
    """The driver image of one example, named after its folder; its base, if any, is a shell."""
    based = "ARG BASE" in (folder / "Dockerfile").read_text()
    arguments = {"BASE": f"oci-archive:{busybox()}"} if based else {}
    return Source(f"localhost/{folder.name}:dev", folder, arguments=arguments)


def examples() -> Sequence[Source]:
    """All examples that have a Dockerfile."""
    return [example(found.parent) for found in sorted(ROOT.glob("examples/*/Dockerfile"))]


def busybox() -> Path:
    """The archive of a small image with a shell, for pods of tests and the demo."""

    def build(archive: Path) -> None:
        image = Image(_shell(), {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]})
        archive.write_bytes(image.archive(BUSYBOX))

    return _cached(BUSYBOX, _hash_of_shell(), build)


def controller_manager() -> Path:
    """The archive of kube-controller-manager and nothing else, as upstream's."""
    return _controller_manager(CONTROLLER_MANAGER, {})


def controller_manager_with_shell() -> Path:
    """The archive of kube-controller-manager in which drivers that are shell scripts run, too."""
    return _controller_manager(CONTROLLER_MANAGER_WITH_SHELL, _shell())


def build_all() -> Mapping[str, Path]:
    """Build whatever has not been built yet; archives by image name."""
    packages.ensure()
    sources = [*own(), *examples()]
    return {source.reference: source.archive() for source in sources} | {BUSYBOX: busybox()}


# Large, and needed by few: not built with the others.
ON_DEMAND: Mapping[str, Callable[[], Path]] = {
    CONTROLLER_MANAGER: controller_manager,
    CONTROLLER_MANAGER_WITH_SHELL: controller_manager_with_shell,
}


def find(image: str | Path) -> Path:
    """The archive of an image built here, by name, or the archive at that path itself."""
    if build := ON_DEMAND.get(str(image)):
        return build()
    for candidate in (Path(image), _folder() / f"{_slug(str(image))}.tar"):
        if candidate.is_file():
            return candidate
    known = ", ".join(sorted(link.name for link in _folder().glob("*.tar") if link.is_symlink()))
    raise ClusterError(f"{str(image)!r} is neither an archive nor an image built here ({known})")


def _shell() -> Mapping[str, File | Link]:
    """A static shell with all the small programs that it can be."""
    names = run([str(SHELL), "--list"]).split()
    links = {f"/bin/{name}": Link("busybox") for name in names if name != "busybox"}
    return {**links, "/bin/busybox": File(SHELL.read_bytes())}


def _hash_of_shell() -> str:
    inputs = SHELL.read_bytes() + Path(oci.__file__).read_bytes()
    return hashlib.sha256(inputs).hexdigest()[:12]


def _controller_manager(reference: str, others: Mapping[str, File | Link]) -> Path:
    program, name = builds.build(builds.KUBERNETES), controllers.CONTROLLER_MANAGER

    def build(archive: Path) -> None:
        # The program looks at the name it is called by.
        files = {**others, f"/usr/bin/{name}": File(program.read_bytes())}
        image = Image(files, {"Entrypoint": [name], "Env": ["PATH=/usr/bin:/bin"]})
        archive.write_bytes(image.archive(reference))

    inputs = f"{program.parent.name} {_hash_of_shell() if others else ''}"
    return _cached(reference, hashlib.sha256(inputs.encode()).hexdigest()[:12], build)


def _cached(reference: str, fingerprint: str, build: Callable[[Path], None]) -> Path:
    """The archive for these inputs; `build` writes it to the path it is given."""
    folder, slug = _folder(), _slug(reference)
    archive, link = folder / f"{slug}-{fingerprint}.tar", folder / f"{slug}.tar"
    with state.locked(folder):
        if not archive.exists():
            say(f"building image {reference} ...")
            unfinished = archive.with_suffix(".new")
            unfinished.unlink(missing_ok=True)
            build(unfinished)
            unfinished.rename(archive)
        for old in folder.glob(f"{slug}-????????????.tar"):
            if old != archive:
                old.unlink()
        link.unlink(missing_ok=True)
        link.symlink_to(archive.name)
    return archive


def _folder() -> Path:
    return cache_root() / "images"


def _slug(reference: str) -> str:
    return reference.replace("/", "_").replace(":", "_")


def _files_below(folder: Path) -> Iterator[Path]:
    for found in sorted(folder.rglob("*")):
        ignored = "__pycache__" in found.parts or found.name.endswith("_test.go")
        if found.is_file() and not ignored:
            yield found
