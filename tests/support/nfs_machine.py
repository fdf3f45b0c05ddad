"""A machine with NFS, server and client in one: the kernel of a build machine has none.

It is User-Mode Linux, a kernel that runs as a program. Its disk is this machine's, read-only, so
it has this machine's shell, jq and mount, and boots in seconds. Nothing is installed.
"""

import itertools
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed import packages
from tests.support import uml_registers

EXPORTS = "/run/exports"
# An address that takes every packet and sends none.
SILENT = "10.99.99.9"
# A new server waits 90 s for those who have locks from before; here is nobody.
SERVE = """
rpc.nfsd --no-nfs-version 3 --no-udp 4
echo Y >/proc/fs/nfsd/v4_end_grace
"""
STOP_SERVING = "rpc.nfsd 0"
_SECONDS = 60
_BOOT = r"""#!/bin/sh
set -eu
shared=$1
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t hostfs -o "$shared" shared /mnt
mkdir -p /var/lib/nfs/v4recovery
touch /var/lib/nfs/etab /var/lib/nfs/rmtab

modules=$(echo "$UML"/usr/lib/uml/modules/*)
for name in nfsd nfsv4 dummy; do grep "/$name.ko:" "$modules/modules.dep"; done |
    awk '{ sub(":", ""); for (i = NF; i > 0; i--) if (!seen[$i]++) print $i }' |
    while read -r module; do busybox insmod "$modules/$module"; done

ip link set lo up
ip link set dummy0 up
ip address add "${SILENT%.*}.1/24" dev dummy0
mkdir -m 0777 "$EXPORTS"
mount -t tmpfs tmpfs "$EXPORTS"
mount -t nfsd nfsd /proc/fs/nfsd
exportfs -i -o rw,fsid=0,insecure,no_root_squash,no_subtree_check "127.0.0.1:$EXPORTS"
rpc.mountd --no-nfs-version 3 --no-udp 2>/dev/null
"""
_LOOP = r"""
stty -echo
echo "machine is up"
while read -r number; do
    code=0
    sh -eu "/mnt/$number" >"/mnt/$number.out" 2>"/mnt/$number.err" || code=$?
    sync
    echo "machine did $number $code"
done
echo o >/proc/sysrq-trigger
sleep infinity
"""


class NfsMachine:
    """Runs shell scripts; it serves EXPORTS to 127.0.0.1 as the share /."""

    def __init__(self, process: subprocess.Popen[bytes], shared: Path) -> None:
        self._process = process
        self._shared = shared
        self._numbers = itertools.count(1)
        self._said = b""
        self._wait_for("machine is up")

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script with `sh -eu`, whatever its exit code."""
        number = str(next(self._numbers))
        file = self._shared / number
        file.write_text(script)
        assert self._process.stdin
        self._process.stdin.write(f"{number}\n".encode())
        self._process.stdin.flush()
        code = int(self._wait_for(f"machine did {number} "))
        out, err = (file.with_suffix(suffix).read_text() for suffix in (".out", ".err"))
        return subprocess.CompletedProcess(script, code, out, err)

    def call(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run one program."""
        return self.run(shlex.join(argv))

    def _wait_for(self, words: str) -> str:
        """The rest of the line on the console that begins with these words."""
        assert self._process.stdout
        deadline = time.monotonic() + _SECONDS
        while True:
            for line in self._said.splitlines(keepends=True):
                text = line.decode(errors="replace")
                if text.startswith(words) and text.endswith("\n"):
                    return text.removeprefix(words).strip()
            left = max(0.0, deadline - time.monotonic())
            more = b""
            if select.select([self._process.stdout], [], [], left)[0]:
                more = os.read(self._process.stdout.fileno(), 65536)
            assert more, f"{words!r} did not come in {_SECONDS} s:\n{self._said.decode()}"
            self._said += more


@contextmanager
def running(folder: Path) -> Iterator[NfsMachine]:
    """Boots in a new folder; whatever happens, no process stays."""
    kernel, server, client, wrap = map(
        packages.unpacked, ("user-mode-linux", "nfs-kernel-server", "nfs-common", "libwrap0")
    )
    (libraries,) = wrap.glob("usr/lib/*/")
    shared = folder / "shared"
    shared.mkdir()
    start = folder / "start"
    start.write_text(_BOOT + SERVE + _LOOP)
    start.chmod(0o755)
    path = f"{server}/usr/sbin:{client}/sbin:{client}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    command = [sys.executable, uml_registers.__file__, f"{kernel}/usr/bin/linux.uml"]
    command += ["mem=256M", "quiet", f"uml_dir={folder}"]
    command += ["con=null", "con0=fd:0,fd:1", "rootfstype=hostfs", "rootflags=/", "ro"]
    command += [f"init={start}", f"PATH={path}", f"UML={kernel}", f"EXPORTS={EXPORTS}"]
    command += [f"SILENT={SILENT}", f"LD_LIBRARY_PATH={libraries}"]
    command += [uml_registers.ENVIRONMENT]
    process = subprocess.Popen(
        [*command, "--", str(shared)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield NfsMachine(process, shared)
    finally:
        _off(process)


def _off(process: subprocess.Popen[bytes]) -> None:
    """Its console ends, so it switches itself off. If it does not, its processes are one group."""
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
