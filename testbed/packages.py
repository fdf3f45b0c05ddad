"""The Debian packages the test cluster needs, installed when they are missing."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed import state
from testbed.layout import cache_root
from testbed.shell import ClusterError, CommandError, run, say

# A file that only exists when the package is installed.
NEEDED = {
    "containerd": "/usr/bin/containerd",
    "runc": "/usr/sbin/runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "buildah": "/usr/bin/buildah",
    "mmdebstrap": "/usr/bin/mmdebstrap",
    "iproute2": "/usr/bin/ip",
    "util-linux": "/usr/bin/nsenter",
    "busybox-static": "/bin/busybox",
    "ca-certificates": "/etc/ssl/certs/ca-certificates.crt",
    "jq": "/usr/bin/jq",  # for examples/nfs, on nodes as in its tests
}
_APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes"]
POLICY = Path("/usr/sbin/policy-rc.d")


def ensure() -> None:
    """Install what is missing; says nothing when all is there. Raises ClusterError."""
    if os.geteuid() != 0:
        raise ClusterError("the test cluster needs root: namespaces, mounts and cgroups are made")
    if shutil.which("go") is None:
        raise ClusterError("the Go tool chain is missing: `go` is not on the PATH")
    missing = [package for package, file in NEEDED.items() if not Path(file).exists()]
    if missing:
        say(f"installing Debian packages: {', '.join(missing)}")
        with _no_service_starts():
            _install(missing)


def unpacked(name: str) -> Path:
    """A folder of the cache with the files of a package that is not installed.

    For packages that would have the machine run a server from its next boot on.
    """
    folder = cache_root() / "packages" / name
    with state.locked(folder.parent):
        if not folder.exists():
            say(f"unpacking the Debian package {name}")
            with tempfile.TemporaryDirectory(dir=folder.parent) as work:
                download = ["env", f"--chdir={work}", *_APT, "download", name]
                try:
                    run(download)
                except CommandError:  # the lists of what there is are missing or old
                    run([*_APT, "update"])
                    run(download)
                (archive,) = Path(work).glob("*.deb")
                run(["dpkg-deb", "--extract", str(archive), f"{work}/files"])
                # A cache is no place for programs that gain rights.
                run(["chmod", "--recursive", "ug-s", f"{work}/files"])
                Path(work, "files").rename(folder)
    return folder


def _install(packages: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise ClusterError(f"apt-get is missing; install these yourself: {', '.join(packages)}")
    run([*_APT, "update"])
    run([*_APT, "install", "--no-install-recommends", *packages])


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Debian starts a service when it is installed, unless this file says no."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
