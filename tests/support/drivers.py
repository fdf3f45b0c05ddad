"""Driver images for tests: good ones, and one for each way to be broken."""

import struct
from pathlib import Path
from typing import Any

from testbed.oci import File, Image

GOOD = """#!/bin/sh
# version {version}
case $1 in
init) echo '{{"status":"Success","capabilities":{{"attach":false}}}}' ;;
mount) mkdir -p "$2" && mount -t tmpfs tmpfs "$2" && echo {version} > "$2/version" &&
    echo '{{"status":"Success"}}' ;;
unmount) umount "$2" && echo '{{"status":"Success"}}' ;;
*) echo '{{"status":"Not supported"}}' ;;
esac
"""


ATTACHING = """#!/bin/sh
case $1 in
init) echo '{"status":"Success","capabilities":{"attach":true}}' ;;
attach | waitforattach) echo '{"status":"Success","device":"disk"}' ;;
isattached) echo '{"status":"Success","attached":true}' ;;
mountdevice) mount -t tmpfs tmpfs "$2" && echo attached > "$2/version" &&
    echo '{"status":"Success"}' ;;
unmountdevice) umount "$2" && echo '{"status":"Success"}' ;;
detach) echo '{"status":"Success"}' ;;
*) echo '{"status":"Not supported"}' ;;
esac
"""


def attaching() -> bytes:
    """A driver whose volumes have to be attached; they hold a file `version`."""
    return ATTACHING.encode()


def good(version: str) -> bytes:
    """A driver that works; its volumes hold the version in the file `version`."""
    return GOOD.format(version=version).encode()


def answering(init: str) -> bytes:
    """A driver whose init runs these shell commands."""
    return f"#!/bin/sh\n{init}\n".encode()


def for_another_machine() -> bytes:
    """A little ELF header of an S/390, which no node of a test cluster is."""
    identity = b"\x7fELF\x02\x02\x01" + bytes(9)
    header = struct.pack(">HHIQQQIHHHHHH", 2, 22, 1, 0, 64, 0, 0, 64, 56, 0, 64, 0, 0)
    return identity + header


def archive(
    folder: Path, name: str, files: dict[str, bytes], config: dict[str, Any] | None = None
) -> tuple[str, Path]:
    """An image of these files and nothing else: its reference, and its OCI archive."""
    reference = f"localhost/{name}:test"
    path = folder / f"{name}.tar"
    content = {file: File(data, mode=0o644) for file, data in files.items()}
    path.write_bytes(Image(content, config or {}).archive(reference))
    return reference, path
