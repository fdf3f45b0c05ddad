"""Asks a kubelet for its configuration, on its own port, as somebody who may do nothing else.

Never through the API server: that takes nodes/proxy, which is as good as root on every node. The
token is of a ServiceAccount that may only `get nodes/configz`, so that it is worth little even to
whoever answers in a kubelet's place.
"""

import ssl
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp

from flexvolume_operator import __version__
from flexvolume_operator.directories import configz
from flexvolume_operator.directories.configz import Trouble, problem
from flexvolume_operator.model.directory import Asked, NoToken
from flexvolume_operator.model.objects import Node

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, sock_connect=5)
_CHUNK: Final = 1 << 16


class Tokens(Protocol):
    """Where bearer tokens come from; both raise NoToken."""

    async def get(self) -> str:
        """A token that is good for some minutes at least."""

    async def renewed(self) -> str:
        """Another one than the last, which was refused."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe to be a kubelet.

    `authority`: the certificate authority of the kubelets' certificates, as PEM; empty: the
    system's. `required`: a kubelet whose certificate is of somebody else is not asked; otherwise it
    is, and its answer is marked as NotVerified.
    """

    authority: str
    required: bool


class Kubelets:
    """All kubelets, one question at a time."""

    def __init__(self, trust: Trust, tokens: Tokens) -> None:
        self._tokens = tokens
        self._verifying = ssl.create_default_context(cadata=trust.authority or None)
        self._believing = None if trust.required else _believing()
        # A connection is for one question: kept open, those of thousands of nodes would only wait.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            headers={"User-Agent": f"flexvolume-operator/{__version__}"},
            timeout=_TIMEOUT,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def ask(self, node: Node) -> Asked:
        """What the node's kubelet says of its directory, or why it says nothing."""
        if configz.too_old(node.kubelet_version):
            return problem(Trouble.TOO_OLD, f"{node.kubelet_version}: before v1.33 none answers")
        if not node.address:
            return problem(Trouble.NO_ADDRESS, "its Node has no address")
        try:
            answer = await self._asked(node, await self._tokens.get())
            if answer.reason == Trouble.UNAUTHORIZED:
                # The account may have been made anew since the token was.
                answer = await self._asked(node, await self._tokens.renewed())
        except NoToken as error:
            return problem(Trouble.NO_TOKEN, str(error))
        return answer

    async def _asked(self, node: Node, token: str) -> Asked:
        answer = await self._tried(node, token, self._verifying, configz.VERIFIED)
        if answer.reason == Trouble.UNTRUSTED and self._believing is not None:
            answer = await self._tried(node, token, self._believing, configz.NOT_VERIFIED)
        return answer

    async def _tried(self, node: Node, token: str, context: ssl.SSLContext, tls: str) -> Asked:
        host = f"[{node.address}]" if ":" in node.address else node.address
        url = f"https://{host}:{node.kubelet_port}/configz"
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.get(
                url, headers=headers, ssl=context, allow_redirects=False
            ) as response:
                return configz.read(response.status, await _start(response), tls)
        except aiohttp.ClientConnectorCertificateError as error:
            return problem(Trouble.UNTRUSTED, str(error.certificate_error))
        except TimeoutError:
            return problem(Trouble.TIMED_OUT, f"no answer within {_TIMEOUT.total:.0f} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return problem(Trouble.UNREACHABLE, str(error) or type(error).__name__)


async def _start(response: aiohttp.ClientResponse) -> bytes:
    """As much of the body as matters, and one byte more if there is more."""
    body = b""
    while len(body) <= configz.LIMIT and (chunk := await response.content.read(_CHUNK)):
        body += chunk
    return body


def _believing() -> ssl.SSLContext:
    """Encrypts for whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
