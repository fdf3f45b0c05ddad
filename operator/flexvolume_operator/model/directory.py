"""What is known of the plugin directories of one node, and from whom.

The kubelet's own word comes over the network (`Asked`) or from its command line and files, as the
node program read them (`Seen`); everything else is somebody's opinion or a guess. All of it is
kept in the FlexNode, so that an operator that starts anew asks nobody twice.
"""

from sys import intern
from typing import Final, Literal

import msgspec
from msgspec import Struct

# Of a directory that nobody has confirmed: neither a person nor the kubelet.
GUESSES: Final = frozenset({"Flag", "Platform", "Default"})

Doubt = Literal["", "Unknown", "Mismatch"]


class NoToken(Exception):
    """There is no token to ask a kubelet with; the text says why."""


class Observed(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The boot, kubelet and address of which the kubelet's answer is."""

    boot_id: str = msgspec.field(default="", name="bootID")
    kubelet_version: str = ""
    address: str = ""


class Asked(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What the kubelet answered on its own port: a path, or the reason for having none.

    `tls` says whether its certificate was verified: Verified or NotVerified.
    """

    path: str = ""
    tls: str = ""
    reason: str = ""
    message: str = ""

    @property
    def problem(self) -> str:
        """The reason in one line."""
        return intern(f"{self.reason}: {self.message}") if self.reason else ""

    @property
    def over(self) -> bool:
        """Whether it has been asked, with whatever success."""
        return bool(self.path or self.reason)


class Seen(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """What the node program saw of a process: the directory, and by which of its settings.

    `container` is only told of controller-managers: whether it runs in one.
    """

    path: str = msgspec.field(default="", name="pluginDir")
    origin: str = msgspec.field(default="", name="from")
    container: bool = False


class NodeDirectory(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The plugin directory of a node and where it is known from; no path: not known yet."""

    path: str = ""
    source: str = ""
    observed: Observed = Observed()
    kubelet: Asked = Asked()
    process: Seen = Seen()

    @property
    def word(self) -> str:
        """The directory by the kubelet's own word; empty while it has not said anything."""
        return self.kubelet.path or self.process.path

    @property
    def guessed(self) -> bool:
        """Nobody has confirmed it."""
        return self.source in GUESSES and not self.word


class Aim(Struct, frozen=True, gc=False):
    """The directory that one driver is to have on a node: `path` with its source.

    `doubt` says why nothing may be published there: Unknown (the kubelet has yet to be asked), or
    Mismatch (somebody named `path`, and the kubelet's `word` is another one). `problem` is why the
    kubelet did not answer for itself, the reason first.
    """

    path: str = ""
    source: str = ""
    word: str = ""
    doubt: Doubt = ""
    problem: str = ""

    @property
    def guessed(self) -> bool:
        """Nobody has confirmed it."""
        return self.source in GUESSES and not self.word


def aim(known: NodeDirectory, override: str, *, force: bool) -> Aim:
    """The directory for a driver whose spec.pluginDir is `override`, normalised or empty.

    `force`: the user insists on it, whatever the kubelet says.
    """
    path = override or known.path
    source = "Override" if override else known.source
    if not known.path and not (override and force):
        return Aim(path, source, doubt="Unknown")
    mismatch = bool(known.word) and known.word != path and not force
    doubt: Doubt = "Mismatch" if mismatch else ""
    return Aim(path, source, known.word, doubt, known.kubelet.problem)


class ControllerManager(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Where kube-controller-manager looks on one control-plane node.

    `path` is the directory by its own name and `source` who says so: Pod, Process or Flag.
    `host_path` is where that directory lies on the node, empty if nothing of the node is mounted
    there; `image` is that of its container, empty when it runs on the host itself or nobody knows.
    `flag`: its command line names the directory. `process` is what the node program saw.
    """

    path: str = ""
    source: str = ""
    host_path: str = ""
    image: str = ""
    flag: bool = False
    process: Seen = Seen()
