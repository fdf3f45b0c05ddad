"""The Go programs of the test cluster: built once, found again by a hash of their inputs."""

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed import state
from testbed.layout import cache_root
from testbed.shell import ClusterError, run, say, tail

HERE = Path(__file__).parent
KUBERNETES_VERSION = "1.36.3"
HELM_VERSION = "4.2.4"
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kubelet",
    "kwok",
)


@dataclass(frozen=True)
class Program:
    """A Go module below this folder and how to build its one program.

    `links` are other names of the program, beside it; it looks at the name it is called by.
    """

    name: str
    package: str
    title: str
    duration: str
    tags: str = ""
    stamps: Sequence[str] = ()
    links: Sequence[str] = ()

    @property
    def module(self) -> Path:
        return HERE / self.name

    def command(self, output: Path) -> list[str]:
        """The build's command line."""
        stamps = " ".join(f"-X {stamp}" for stamp in self.stamps)
        flags = ["-trimpath", "-v", f"-tags={self.tags}", f"-ldflags=-s -w {stamps}".rstrip()]
        return ["go", "build", *flags, "-o", str(output), self.package]


def _kubernetes_stamps() -> list[str]:
    """Without them the components call themselves v0.0.0."""
    major, minor, _ = KUBERNETES_VERSION.split(".")
    values = {
        "gitVersion": f"v{KUBERNETES_VERSION}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "0" * 40,
        "buildDate": "1970-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return [f"{package}.{key}={value}" for package in packages for key, value in values.items()]


KUBERNETES = Program(
    "kubernetes",
    ".",
    f"Kubernetes {KUBERNETES_VERSION}",
    "about 9 minutes",
    "notest,grpcnotrace",
    _kubernetes_stamps(),
    links=COMPONENTS,
)
HELM = Program(
    "helm",
    "helm.sh/helm/v4/cmd/helm",
    f"helm {HELM_VERSION}",
    "about 2 minutes",
    stamps=[f"helm.sh/helm/v4/internal/version.version=v{HELM_VERSION}"],
)
PAUSE = Program("pause", ".", "the pause program", "some seconds")


def build(program: Program) -> Path:
    """The path of the built program; builds it first if its inputs have never been built."""
    folder = cache_root() / "programs" / f"{program.name}-{_fingerprint(program)}"
    binary = folder / program.name
    if binary.exists():
        return binary
    with state.locked(folder):
        if not binary.exists():
            _build(program, binary)
    return binary


def _fingerprint(program: Program) -> str:
    digest = hashlib.sha256(" ".join(program.command(Path("program"))).encode())
    digest.update(run(["go", "env", "GOVERSION", "GOARCH"]).encode())
    for file in sorted([*program.module.glob("go.*"), *program.module.glob("*.go")]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _build(program: Program, binary: Path) -> None:
    say(f"building {program.title} (once, {program.duration}) ...")
    unfinished, log = binary.with_suffix(".new"), binary.parent / "build.log"
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            program.command(unfinished),
            cwd=program.module,
            env=environment,
            stdout=output,
            stderr=output,
        )
        with _ended_with_us(process):
            _watch(process, log, started)
    if process.returncode != 0:
        raise ClusterError(f"the build failed; {log} ends with:\n{tail(log)}")
    for link in program.links:
        if not binary.with_name(link).is_symlink():
            binary.with_name(link).symlink_to(binary.name)
    unfinished.rename(binary)
    say(f"  built in {_elapsed(started)}: {binary}")


def _watch(process: subprocess.Popen[bytes], log: Path, started: float) -> None:
    """Tell every 20 s how far the build is, until it ends."""
    while True:
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            lines = log.read_text(errors="replace").splitlines()
            modules = sum(line.startswith("go: downloading") for line in lines)
            packages = len(lines) - modules
            say(f"  {_elapsed(started)}  {modules} modules fetched, {packages} packages compiled")
        else:
            return


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _elapsed(started: float) -> str:
    seconds = int(time.monotonic() - started)
    return f"{seconds // 60}:{seconds % 60:02d}"
