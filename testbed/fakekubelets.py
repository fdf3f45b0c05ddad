"""The kubelets of fake nodes: ports of the machine's own address that answer GET /configz.

Fake nodes have that address, and each of them a port in its Node object. Many nodes may have one
port: it answers for all of them. On 10250 kubelets are well and look in the default directory;
what else there is, a test asks for by serve().
"""

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path

from testbed import plugindir, processes
from testbed.certificates import Authority
from testbed.controlplane import check
from testbed.layout import Layout
from testbed.shell import ClusterError, until

ROLE = "fake-kubelets"
PORT = 10250
CONTROL = 10249
SERVER = Path(__file__).with_name("kubeletserver.py")
# What a kubelet of this version answers, as one of the real nodes did.
BODY = Path(__file__).with_name("configz.json")
MANNERS = (
    "",
    "closes-connection",
    "hang",
    "huge",
    "no-field",
    "not-json",
    "null",
    "plain-http",
    "redirect",
    "slow",
    "wrong-certificate",
)


@dataclass(frozen=True)
class Answer:
    """What the kubelets of one port do when somebody with a bearer token asks for /configz.

    They tell `directory` (which a real one never says to be relative), or answer another `status`
    than 200. `manner` is a way to be unhelpful: "closes-connection" once it is asked; "hang" once
    it is asked; "huge", JSON without end; "no-field" or "null" for the directory; "not-json";
    "plain-http" instead of TLS; "redirect" to /elsewhere; "slow", after `seconds`;
    "wrong-certificate", one of another authority and for another name, as kubeadm's kubelets have.
    Whoever has no token gets 401, whoever asks for something else 404.
    """

    directory: str = plugindir.DEFAULT
    status: int = 200
    manner: str = ""
    seconds: float = 3

    def __post_init__(self) -> None:
        """Refuse what is not known."""
        if self.manner not in MANNERS:
            known = ", ".join(filter(None, MANNERS))
            raise ClusterError(f"manner is {self.manner!r}; it must be empty or one of {known}")
        if self.status not in set(HTTPStatus):
            raise ClusterError(f"status is {self.status}; it must be one that HTTP has a name for")


@dataclass(frozen=True)
class Request:
    """So often somebody asked for this path with this token; empty: with none."""

    path: str
    token: str
    count: int


def start(layout: Layout) -> None:
    """Start them unless they run; returns when they answer."""
    if not processes.running(layout.state).get(ROLE):
        good, wrong = layout.pki / "fake-kubelet", layout.pki / "stranger/kubelet"
        user, groups, name = "system:node:fake", ["system:nodes"], "fake"
        Authority(layout.pki).issue(good, user, groups, [name], [layout.gateway])
        Authority.create(wrong.parent).issue(wrong, user, groups, [name])
        settings = layout.state / f"{ROLE}.json"
        settings.write_text(
            json.dumps(
                {
                    "address": str(layout.gateway),
                    "control": [layout.loopback, CONTROL],
                    "certificates": [str(good), str(wrong)],
                    "body": json.loads(BODY.read_text()),
                    **_serving({PORT: Answer()}),
                }
            )
        )
        command = [sys.executable, "-I", str(SERVER), str(settings)]
        processes.start(layout.state, ROLE, command, layout.logs / f"{ROLE}.log")

    def answers() -> bool:
        check(layout, ROLE)
        return bool(asked(layout))

    until(answers, 10, f"{ROLE} answer")


def serve(layout: Layout, answers: Mapping[int, Answer | None]) -> None:
    """Have ports answer like this from now on; None: nobody listens there any more.

    Returns when it is so. Connections that these ports had are broken.
    """
    start(layout)
    _say(layout, _serving(answers))


def asked(layout: Layout) -> Mapping[int, Sequence[Request]]:
    """What each port was asked, however it was answered, since the last forget()."""
    return _say(layout, {})


def forget(layout: Layout) -> None:
    """Count from nothing again."""
    _say(layout, {"forget": True})


def _serving(answers: Mapping[int, Answer | None]) -> Mapping[str, object]:
    return {"serve": {port: asdict(answer) if answer else None for port, answer in answers.items()}}


def _say(layout: Layout, command: object) -> Mapping[int, Sequence[Request]]:
    with socket.create_connection((layout.loopback, CONTROL), timeout=10) as connection:
        connection.sendall(json.dumps(command).encode() + b"\n")
        with connection.makefile() as lines:
            said = json.loads(lines.readline())
    if "error" in said:
        raise ClusterError(f"{ROLE} cannot do {command}: {said['error']}")
    return {int(port): [Request(*each) for each in requests] for port, requests in said.items()}
