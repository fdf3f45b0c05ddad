"""buildah, as used here: no daemon, chroot isolation, an own storage in the cache.

Base images cannot be pulled on a machine without a registry, so a Debian with Python stands in
for the ones our Dockerfiles name; Go comes from this machine.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed.layout import cache_root
from testbed.shell import run, say

RELEASE = "bookworm"
PACKAGES = ("ca-certificates", "python3-minimal", "python3-venv", "usr-is-merged")
UNNEEDED = ("doc", "info", "locale", "man", "zoneinfo")
_BOOTSTRAP = [
    # Where compiled files are kept for this program, nobody in the image would look.
    "env",
    "--unset=PYTHONPYCACHEPREFIX",
    "mmdebstrap",
    "--quiet",
    "--variant=essential",
    f"--include={','.join(PACKAGES)}",
    # Instead of the package usrmerge, which brings Perl: a quarter of the image.
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in UNNEEDED),
    RELEASE,
]
BASE = f"localhost/testbed-base:{hashlib.sha256(' '.join(_BOOTSTRAP).encode()).hexdigest()[:8]}"
MAX_LAYERS = 100
PATH = "/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a build needs to reach the package registries the way this machine does.
MACHINE_FILES = ("/etc/hosts", "/etc/pip.conf", "/etc/resolv.conf", "/etc/ssl/certs")


@contextmanager
def storage() -> Iterator[Sequence[str]]:
    """The start of every buildah command line.

    Mounts are made in a namespace of the command and what is noted about them is forgotten
    afterwards, so an interrupted build leaves nothing mounted and nothing believed to be.
    """
    root = cache_root() / "buildah"
    with tempfile.TemporaryDirectory(prefix="testbed-buildah-") as notes:
        buildah = ["unshare", "--mount", "buildah", f"--root={root}", f"--runroot={notes}"]
        run([*buildah, "rm", "--all"])
        if len(run([*buildah, "images", "--all", "--quiet"]).split()) > MAX_LAYERS:
            run([*buildah, "rmi", "--prune"])
        yield buildah


def ensure_base(buildah: Sequence[str]) -> None:
    """Make the stand-in for base images unless the storage has it."""
    if run([*buildah, "images", "--quiet", "--filter", f"reference={BASE}"]).strip():
        return
    say(f"building the base image, Debian {RELEASE} with Python (once, about a minute) ...")
    with tempfile.TemporaryDirectory(prefix="testbed-base-") as folder:
        Path(folder, "Dockerfile").write_text(f"FROM scratch\nADD base.tar /\nENV PATH={PATH}\n")
        run([*_BOOTSTRAP, f"{folder}/base.tar"])
        run([*buildah, "bud", "--quiet", "--isolation=chroot", f"--tag={BASE}", folder])


def machine_volumes() -> Sequence[str]:
    """Buildah's options that lend this machine's Go, its caches and its registry settings."""
    goroot, *caches = run(["go", "env", "GOROOT", "GOMODCACHE", "GOCACHE"]).split()
    inside = ("/root/go/pkg/mod", "/root/.cache/go-build")
    return [
        f"--volume={goroot}:/usr/local/go:ro",
        *(f"--volume={cache}:{place}" for cache, place in zip(caches, inside, strict=True)),
        *(f"--volume={file}:{file}:ro" for file in MACHINE_FILES if Path(file).exists()),
    ]
