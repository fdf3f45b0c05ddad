"""How a kubelet is told its volume plugin directory: in every way there is."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.shell import ClusterError

DEFAULT = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/"
# The folder of the configuration file, where relative paths in it start.
HOME = "/var/lib/kubelet"
DROP_INS = f"{HOME}/config.d"
# What the configuration file says where something else has the last word.
OVERRULED = f"{HOME}/overruled"
WAYS = ("config", "relative", "drop-in", "flag", "flag-over-config")


@dataclass(frozen=True)
class PluginDir:
    """A directory and the way it is told.

    "config": volumePluginDir in the configuration file. "relative": likewise, as a path relative to
    that file. "drop-in": in a file of --config-dir; the configuration file names another one.
    "flag": --volume-plugin-dir. "flag-over-config": likewise; the file names another one. With
    "config" and "flag" the default is not told at all. The path is told as it is written here,
    with or without a slash at its end.
    """

    path: str = DEFAULT
    by: str = "config"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.by not in WAYS:
            raise ClusterError(f"plugin_dir_by is {self.by!r}; it must be one of {', '.join(WAYS)}")
        if not self.path.startswith("/"):
            raise ClusterError(f"plugin directory {self.path!r} must be an absolute path")

    @property
    def in_file(self) -> str:
        """What volumePluginDir is in the configuration file; empty: it is left out."""
        if self.by == "config":
            return "" if self.path == DEFAULT else self.path
        if self.by == "relative":
            # relpath() takes the slash away.
            return os.path.relpath(self.path, HOME) + ("/" if self.path.endswith("/") else "")
        return "" if self.by == "flag" else OVERRULED

    @property
    def in_drop_in(self) -> str:
        """What it is in the drop-in file; empty: there is none."""
        return self.path if self.by == "drop-in" else ""

    @property
    def flags(self) -> Sequence[str]:
        """What the kubelet's command line has for it."""
        if self.by == "drop-in":
            return [f"--config-dir={DROP_INS}"]
        told = self.by == "flag-over-config" or (self.by == "flag" and self.path != DEFAULT)
        return [f"--volume-plugin-dir={self.path}"] if told else []
