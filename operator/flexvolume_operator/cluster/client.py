"""One HTTP client for all requests: authentication, retries, back-pressure and request metrics.

Bodies are plain dicts and raw JSON bytes. Typed models are avoided on purpose: they refuse
partial objects, and decoding whole Nodes and Pods costs ten times what the stores need.
"""

import asyncio
import copy
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from flexvolume_operator import __version__, metrics

Json = dict[str, Any]

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

# 403 too: an API server that has just started does not know yet who may do what (measured).
_RETRIED: Final = frozenset({403, 429, 500, 502, 503, 504})
_ATTEMPTS: Final = 5
_CONCURRENT_WRITES: Final = 32
_REQUEST_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=10)
# Bookmarks come about once a minute on a healthy watch; more silence than this is a dead peer.
_WATCH_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=90)


class ApiError(Exception):
    """The API server's refusal.

    `status` is the HTTP code (0: no answer), `reason` the machine-readable word such as
    `Conflict`, `message` the server's own text.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


async def load_configuration(kubeconfig: str | None) -> Configuration:
    """Where the API server is and who we are: the given kubeconfig, else the pod's own account."""
    configuration = Configuration()
    if kubeconfig:
        await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)
    else:
        config.load_incluster_config(client_configuration=configuration)
    configuration.connection_pool_maxsize = _CONCURRENT_WRITES * 2
    # Asked to, aiohttp reads the environment and ~/.netrc for each request, in two threads: that is
    # half of what a write costs, and what it finds in .netrc collides with our token.
    configuration.client_session_kwargs = {"trust_env": False}
    configuration.proxy = configuration.proxy or _proxy(configuration.host)
    return configuration


def _text(file: str | None) -> str:
    return Path(file).read_text() if file else ""


def _proxy(server: str) -> str | None:
    """The proxy that the environment names for the API server, as kubectl would use it."""
    url = urlsplit(server)
    return None if proxy_bypass(url.netloc) else getproxies().get(url.scheme)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | Sequence[Json] | None = None
    content_type: str = JSON
    accept: str = JSON


class Client:
    """Requests to one API server.

    `before_write` is called when the body of a request that changes something is about to be sent:
    to get that far takes time, in which a process may have been frozen. It does not return when
    this process may no longer write (the Lease ran out).
    """

    def __init__(self, configuration: Configuration) -> None:
        own = copy.copy(configuration)
        own.trace_configs = [self._tracing()]
        self._api = ApiClient(own)
        self._api.user_agent = f"flexvolume-operator/{__version__}"
        self._writes = asyncio.Semaphore(_CONCURRENT_WRITES)
        # The cluster's certificate authority, as PEM; empty: the system's.
        self.authority = _text(configuration.ssl_ca_cert)
        self.before_write: Callable[[], None] = lambda: None

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def get(self, path: str, *, accept: str = JSON, **query: str) -> bytes:
        """The body of a GET; `accept` is the form in which it is wanted."""
        return await self._answered(_Request("GET", path, query, accept=accept))

    async def get_object(self, path: str) -> Json | None:
        """One object, or None when it does not exist."""
        try:
            return _object(await self.get(path))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def apply(
        self, path: str, body: Mapping[str, Any], *, manager: str, dry_run: bool = False
    ) -> Json:
        """Server-side apply; conflicts are forced, as we own what we name."""
        query = {"fieldManager": manager, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        return await self._write(_Request("PATCH", path, query, body, APPLY_PATCH))

    async def patch(self, path: str, body: Mapping[str, Any], *, manager: str) -> Json:
        """JSON merge patch."""
        return await self._write(
            _Request("PATCH", path, {"fieldManager": manager}, body, MERGE_PATCH)
        )

    async def patch_json(self, path: str, steps: Sequence[Json], *, manager: str) -> Json:
        """JSON patch (RFC 6902); a test that does not hold is an ApiError 422."""
        return await self._write(
            _Request("PATCH", path, {"fieldManager": manager}, steps, JSON_PATCH)
        )

    async def replace(self, path: str, body: Mapping[str, Any], *, manager: str) -> Json:
        """PUT; the body carries the resourceVersion it replaces."""
        return await self._write(_Request("PUT", path, {"fieldManager": manager}, body))

    async def create(self, path: str, body: Mapping[str, Any], *, manager: str) -> Json:
        """POST."""
        return await self._write(_Request("POST", path, {"fieldManager": manager}, body))

    async def delete(self, path: str, *, uid: str = "") -> None:
        """Delete the object of this uid; one that is gone or was made anew is left alone."""
        body: Json = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._write(_Request("DELETE", path, {}, body))
        except ApiError as error:
            if error.status not in {404, 409}:
                raise

    async def watch(self, path: str, *, accept: str = JSON, **query: str) -> AsyncIterator[bytes]:
        """Lines of a watch, each one event as JSON; ends when the server or the network does."""
        seconds = str(random.randint(240, 300))  # noqa: S311  spreads reconnects, no secret
        query |= {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        request = _Request("GET", path, query, accept=accept)
        response = await self._send(request, _WATCH_TIMEOUT)
        try:
            # Not readline(): it gives up on lines longer than its buffer.
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line:
                        yield line
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, "WatchBroken", str(error) or type(error).__name__) from error
        finally:
            response.close()

    def _tracing(self) -> aiohttp.TraceConfig:
        """Has aiohttp call `before_write` at the last moment: only writes have a body."""

        async def sending(*_: object) -> None:
            self.before_write()

        tracing = aiohttp.TraceConfig()
        # A connection is had sooner, but the body is sent some turns of the loop later.
        tracing.on_request_chunk_sent.append(sending)
        return tracing

    async def _write(self, request: _Request) -> Json:
        async with self._writes:
            return _object(await self._answered(request))

    async def _answered(self, request: _Request) -> bytes:
        """Repeat what may pass: every request of ours is idempotent, conditional or an Event."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await _read(await self._send(request, _REQUEST_TIMEOUT))
            except ApiError as error:
                if error.status and error.status not in _RETRIED:
                    raise
                if attempt == _ATTEMPTS:
                    # Whoever is told may try again at once.
                    await asyncio.sleep(error.retry_after)
                    raise
                backoff = 0.1 * 3 ** (attempt - 1) * random.uniform(0.7, 1.3)  # noqa: S311
                await asyncio.sleep(max(error.retry_after, backoff))

    async def _send(
        self,
        request: _Request,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  handed on to aiohttp
    ) -> aiohttp.ClientResponse:
        url = f"{self._api.configuration.host}{request.path}"
        if request.query:
            url += "?" + urlencode(request.query)
        headers = {
            **self._api.default_headers,
            "Content-Type": request.content_type,
            "Accept": request.accept,
        }
        verb = "WATCH" if "watch" in request.query else request.method
        try:
            await self._api.update_params_for_auth(
                headers, [], ["BearerToken"], request.path, request.method, request.body
            )
            answer = await self._api.call_api(
                request.method,
                url,
                header_params=headers,
                body=request.body,
                _request_timeout=timeout,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            metrics.API_REQUESTS.labels(verb, "0").inc()
            raise ApiError(0, "NoAnswer", str(error) or type(error).__name__) from error
        response: aiohttp.ClientResponse = answer.response
        metrics.API_REQUESTS.labels(verb, str(response.status)).inc()
        if response.status >= 400:
            raise await _refusal(response)
        return response


async def _read(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ApiError(0, "NoAnswer", str(error) or type(error).__name__) from error


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    """The Status object of a refused request as an exception."""
    text = await _read(response)
    try:
        status: Json = json.loads(text)
    except ValueError:
        status = {"message": text[:300].decode(errors="replace")}
    return ApiError(
        response.status,
        status.get("reason") or response.reason or "",
        status.get("message") or "",
        _seconds(response.headers.get("Retry-After")),
    )


def _seconds(retry_after: str | None) -> float:
    return min(float(retry_after), 60.0) if retry_after and retry_after.isdigit() else 0.0


def _object(body: bytes) -> Json:
    decoded: Json = json.loads(body)
    return decoded
