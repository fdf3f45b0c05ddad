"""What the node program says: the one JSON object in a container's termination message.

Its shape is `installer/report/contract.json`, which the node program is tested against too.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from flexvolume_operator.model.directory import Seen

VERSION = 1


class Capabilities(Struct, frozen=True, gc=False, rename="camel"):
    """What the driver answered to init, with the kubelet's defaults for what it left out."""

    attach: bool = False
    fs_group: bool = False
    selinux_relabel: bool = False
    supports_metrics: bool = False
    requires_fs_resize: bool = msgspec.field(default=False, name="requiresFSResize")


class Serving(Struct, frozen=True, gc=False, omit_defaults=True):
    """What lies at the driver's path; both empty when nothing does."""

    revision: str = ""
    sha256: str = ""


class Caution(Struct, frozen=True, gc=False, omit_defaults=True):
    """Something that will hurt though the driver is installed."""

    reason: str
    message: str = ""


class Foreign(Struct, frozen=True, gc=False):
    """A driver on the node that is not ours; `init` is why its init fails, or Success."""

    name: str
    sha256: str = ""
    init: str = ""


class Report(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One report. `repairs` counts from the start of the pod; `last_repair` is RFC 3339.

    `waits` says that it would replace a foreign driver and waits for its turn; `foreign` lists, in
    a dry run, drivers on the node that no record of ours vouches for, as far as there was room;
    `pods` are the uids of pods that have volumes of the driver mounted.

    `kubelet` and `controller_manager` are what was seen of these processes on the node, with no
    path for one that was not seen; `interpreter` is what the driver's file needs to run.
    """

    v: Literal[1]
    component: Literal["install", "guard", "remove"]
    result: Literal["Installed", "WouldInstall", "Removed", "Failed"]
    reason: str = ""
    message: str = ""
    revision: str = ""
    path: str = ""
    sha256: str = ""
    changed: bool = False
    capabilities: Capabilities | None = None
    serving: Serving = Serving()
    owner: str = ""
    boot_id: str = msgspec.field(default="", name="bootID")
    kubelet: Seen = Seen()
    controller_manager: Seen = Seen()
    interpreter: str = ""
    warnings: tuple[Caution, ...] = ()
    waits: bool = False
    foreign: tuple[Foreign, ...] = ()
    foreign_count: int = 0
    pods: tuple[str, ...] = ()
    repairs: int = 0
    last_repair: str = ""


_DECODER = msgspec.json.Decoder(Report)


def parse_report(text: str) -> Report | None:
    """The report in a termination message; None for anything that is not one of this version."""
    if not text.startswith("{"):
        return None
    try:
        return _DECODER.decode(text)
    except msgspec.MsgspecError:
        return None
