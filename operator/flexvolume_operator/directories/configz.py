"""What a kubelet's answer to GET /configz means, whatever it is that answers there.

The body of a kubelet is 3 KB of JSON; what listens on its port may as well be something else, send
without end, or lie. So everything but a directory becomes a reason, in words for people.
"""

from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from flexvolume_operator.model.directory import Asked
from flexvolume_operator.model.names import InvalidPluginDir, cleaned_plugin_dir

LIMIT: Final = 1 << 20
VERIFIED: Final = "Verified"
NOT_VERIFIED: Final = "NotVerified"
# The right to nodes/configz alone is enough since then; before, only nodes/proxy opens the door.
_FINE_GRAINED: Final = (1, 33)


class Trouble(StrEnum):
    """Why a kubelet did not tell its directory; docs/directories.md says what each one means."""

    NOT_ASKED = "NotAsked"
    NO_ADDRESS = "NoAddress"
    TOO_OLD = "KubeletTooOld"
    NO_TOKEN = "NoToken"  # noqa: S105  a reason, no password
    UNREACHABLE = "Unreachable"
    TIMED_OUT = "TimedOut"
    UNTRUSTED = "UntrustedCertificate"
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    NOT_SERVED = "NotServed"
    SERVER_ERROR = "ServerError"
    INVALID_ANSWER = "InvalidAnswer"


# What may pass by itself: asked again soon, before anything else is believed.
PASSING: Final = frozenset(
    {Trouble.NO_TOKEN, Trouble.UNREACHABLE, Trouble.TIMED_OUT, Trouble.SERVER_ERROR}
)

_REFUSALS: Final = {
    401: (Trouble.UNAUTHORIZED, "401: it does not accept tokens of ServiceAccounts"),
    403: (Trouble.FORBIDDEN, "403: the right to get nodes/configz is missing or not known to it"),
    404: (Trouble.NOT_SERVED, "404: it serves no /configz"),
    405: (Trouble.NOT_SERVED, "405: its enableDebuggingHandlers is false"),
}


class _Configuration(Struct, rename="camel"):
    volume_plugin_dir: str = ""


class _Body(Struct):
    kubeletconfig: _Configuration | None = None


_BODY: Final = msgspec.json.Decoder(_Body)


def too_old(kubelet_version: str) -> bool:
    """Whether such a kubelet is known to refuse; of an unknown version it is not known."""
    numbers = kubelet_version.removeprefix("v").split(".")[:2]
    if len(numbers) < 2 or not all(n.isdigit() for n in numbers):
        return False
    return (int(numbers[0]), int(numbers[1])) < _FINE_GRAINED


def read(status: int, body: bytes, tls: str) -> Asked:
    """The answer with this HTTP status and the first LIMIT + 1 bytes of this body."""
    if status in _REFUSALS:
        return problem(*_REFUSALS[status], tls)
    if status >= 500 or status == 429:
        return problem(Trouble.SERVER_ERROR, f"it answered {status}", tls)
    if status != 200:
        return problem(Trouble.INVALID_ANSWER, f"it answered {status}, as no kubelet does", tls)
    try:
        return Asked(_directory(body), tls)
    except ValueError as error:
        return problem(Trouble.INVALID_ANSWER, str(error), tls)


def _directory(body: bytes) -> str:
    """The directory in a body. Raises ValueError for one without."""
    if len(body) > LIMIT:
        raise ValueError(f"it sent more than {LIMIT >> 20} MiB")
    try:
        found = _BODY.decode(body).kubeletconfig
    except msgspec.MsgspecError as error:
        raise ValueError(f"it sent no configuration: {error}") from error
    if found is None or not found.volume_plugin_dir:
        raise ValueError("its answer has no kubeletconfig.volumePluginDir")
    try:
        return cleaned_plugin_dir(found.volume_plugin_dir)
    except InvalidPluginDir as error:
        raise ValueError(f"its volumePluginDir {found.volume_plugin_dir!r} {error}") from error


def problem(trouble: Trouble, message: str, tls: str = "") -> Asked:
    """The answer that is none."""
    return Asked("", tls, trouble.value, message[:256])
