"""Everything that becomes visible in a directory and in what is made below it, by inotify.

A driver that may not be published must never be there, not even between two looks.
"""

import ctypes
import os
import select
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_LIBC = ctypes.CDLL(None, use_errno=True)
_HEADER = struct.Struct("iIII")
_IN_CREATE, _IN_MOVED_TO, _IN_ISDIR = 0x100, 0x80, 0x40000000


class Appearances:
    """While it is entered, records the names that appear: `v~d` and `v~d/file`."""

    def __init__(self, directory: Path) -> None:
        self.names: list[str] = []
        self._directory = directory
        self._folders: dict[int, str] = {}
        self._fd = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._watch("")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._woken)
        self._thread.join()
        os.close(self._fd)
        os.close(self._wake)

    def _watch(self, name: str) -> None:
        path = str(self._directory / name).encode()
        descriptor = _LIBC.inotify_add_watch(self._fd, path, _IN_CREATE | _IN_MOVED_TO)
        assert descriptor >= 0 or name, os.strerror(ctypes.get_errno())
        self._folders[descriptor] = name

    def _read(self) -> None:
        while self._wake not in select.select([self._fd, self._wake], [], [])[0]:
            data = os.read(self._fd, 65536)
            while data:
                descriptor, mask, _, length = _HEADER.unpack_from(data)
                name = data[_HEADER.size : _HEADER.size + length].rstrip(b"\0").decode()
                data = data[_HEADER.size + length :]
                full = str(Path(self._folders.get(descriptor, "?"), name))
                self.names.append(full)
                if mask & _IN_ISDIR:
                    self._watch(full)
