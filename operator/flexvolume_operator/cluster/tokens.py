"""Short-lived tokens of a ServiceAccount, asked for only when somebody needs one."""

import asyncio
import time
from typing import Final

from flexvolume_operator.cluster.client import ApiError, Client
from flexvolume_operator.model.directory import NoToken
from flexvolume_operator.model.names import FIELD_MANAGER

_SECONDS: Final = 3600
# Of its life, after which it is not used any more: clocks differ, and requests take time.
_USED: Final = 0.8
# One that was refused is not asked for anew more often than this.
_YOUNG: Final = 60.0


class Tokens:
    """Tokens of the ServiceAccount `namespace/name`."""

    def __init__(self, client: Client, namespace: str, name: str) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        self._lock = asyncio.Lock()
        self._token = ""
        self._got = float("-inf")

    async def get(self) -> str:
        """A token that is good for some minutes at least. Raises NoToken."""
        return await self._younger_than(_SECONDS * _USED)

    async def renewed(self) -> str:
        """Another one than the last, which was refused, unless that is new. Raises NoToken."""
        return await self._younger_than(_YOUNG)

    async def _younger_than(self, seconds: float) -> str:
        async with self._lock:
            if time.monotonic() - self._got > seconds:
                await self._request()
            return self._token

    async def _request(self) -> None:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _SECONDS},
        }
        try:
            answer = await self._client.create(self._path, body, manager=FIELD_MANAGER)
        except ApiError as error:
            raise NoToken(str(error)) from error
        self._token, self._got = answer["status"]["token"], time.monotonic()
