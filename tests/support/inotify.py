"""Everything that comes and goes in a directory and in what is below it, by inotify.

A driver that may not be published must never be there, and one that is published must never be
missing, not even between two looks.
"""

import ctypes
import os
import select
import struct
import threading
from pathlib import Path
from typing import Self

_LIBC = ctypes.CDLL(None, use_errno=True)
_HEADER = struct.Struct("iIII")
_IN_MOVED_FROM, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x40, 0x80, 0x100, 0x200
_IN_ISDIR = 0x40000000
_COMING, _GOING = _IN_CREATE | _IN_MOVED_TO, _IN_DELETE | _IN_MOVED_FROM


class Appearances:
    """While it is entered, records the names that appear: `v~d` and `v~d/file`.

    Those that are deleted or renamed away are in `gone`. A file that another one is renamed over
    is never gone, and so it is not there.
    """

    def __init__(self, directory: Path) -> None:
        self.names: list[str] = []
        self.gone: list[str] = []
        self._directory = directory
        self._folders: dict[int, str] = {}
        self._fd = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        for folder in ("", *(found.name for found in self._directory.iterdir() if found.is_dir())):
            self._watch(folder)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._woken)
        self._thread.join()
        os.close(self._fd)
        os.close(self._wake)

    def _watch(self, name: str) -> None:
        path = str(self._directory / name).encode()
        descriptor = _LIBC.inotify_add_watch(self._fd, path, _COMING | _GOING)
        assert descriptor >= 0 or name, os.strerror(ctypes.get_errno())
        self._folders[descriptor] = name

    def _read(self) -> None:
        woken = False
        while not woken:
            woken = self._wake in select.select([self._fd, self._wake], [], [])[0]
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                continue
            while data:
                descriptor, mask, _, length = _HEADER.unpack_from(data)
                name = data[_HEADER.size : _HEADER.size + length].rstrip(b"\0").decode()
                data = data[_HEADER.size + length :]
                self._note(mask, str(Path(self._folders.get(descriptor, "?"), name)))

    def _note(self, mask: int, name: str) -> None:
        if mask & _GOING:
            self.gone.append(name)
        elif mask & _COMING:
            self.names.append(name)
            if mask & _IN_ISDIR:
                self._watch(name)
