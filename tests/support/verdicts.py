"""The node program's table of drivers, and a kubelet's verdicts on them from its log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from testbed import images

TABLE = images.ROOT / "installer/verify/testdata/verdicts.txt"
VENDOR = "example.com"

_ENTRY = re.compile(r"^== (\S+): (\w+)\n((?:(?!== ).*\n)+)", re.MULTILINE)
_DIFFERENCE = re.compile(r"^# kubelet: (\w+)(?: after (\d+) s)?\n# because: \S", re.MULTILINE)


@dataclass(frozen=True)
class Driver:
    """A driver of the table, and the verdicts on it of our program and of a kubelet."""

    name: str
    ours: str
    kubelet: str
    hangs: int  # for so many seconds
    script: str


def read_table() -> Sequence[Driver]:
    """All drivers of the table; without a reason, a kubelet's verdict has to be ours."""
    drivers = []
    for name, ours, script in _ENTRY.findall(TABLE.read_text()):
        differs = _DIFFERENCE.search(script)
        kubelet, hangs = differs.groups() if differs else (ours, 0)
        drivers.append(Driver(name, ours, kubelet, int(hangs or 0), script))
    return drivers


_LOADED = re.compile(rf'"Loaded volume plugin" pluginName="{VENDOR}/(\S+)"')
_REFUSED = re.compile(
    rf"error creating Flexvolume plugin from directory {VENDOR}~(\S+), skipping\. "
    r"Error: (?=(.{0,40}))"
)
# How errors of a kubelet begin, and what our program calls them.
_WORDS = {
    "init command failed, status: ": "InitFailed",
    "exit status ": "InitFailed",
    "signal: ": "InitFailed",
    "Not supported": "InitNotSupported",
    "invalid character ": "InitInvalidOutput",
    "unexpected end of JSON input": "InitInvalidOutput",
    "json: cannot unmarshal ": "InitInvalidOutput",
    "exceeded max depth": "InitInvalidOutput",
}
CRASH = "InitWouldCrashKubelet"
_CRASH = re.compile(
    r"nil pointer dereference.*flexvolume\.pluginFactory\.NewFlexVolumePlugin", re.DOTALL
)


def verdicts(log: str) -> dict[str, str]:
    """By driver, in the words of our program; an error that is not known stands for itself."""
    found = dict.fromkeys(_LOADED.findall(log), "Success")
    for name, error in _REFUSED.findall(log):
        found[name] = next(
            (word for start, word in _WORDS.items() if error.startswith(start)), error
        )
    return found


def crashed(log: str) -> bool:
    """Whether the kubelet ended where it makes a plugin of a driver."""
    return bool(_CRASH.search(log))
