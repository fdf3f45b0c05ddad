"""A client of the API server with nothing to it, so that a thousand requests take seconds."""

import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import closing

from testbed.layout import Layout
from testbed.shell import ClusterError


class NotFound(ClusterError):
    """There is no such object."""


class Api:
    """One connection, as the administrator."""

    def __init__(self, connection: http.client.HTTPSConnection) -> None:
        self._connection = connection

    def request(self, method: str, path: str, body: object = None, kind: str = "") -> bytes:
        """The answer's body; PATCH merges, unless `kind` names another content type.

        Raises NotFound for 404, and ClusterError for any other answer that is not 2xx.
        """
        data = None if body is None else json.dumps(body)
        kind = kind or ("application/merge-patch+json" if method == "PATCH" else "application/json")
        self._connection.request(method, path, data, {"Content-Type": kind})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= http.HTTPStatus.MULTIPLE_CHOICES:
            said = content.decode(errors="replace")
            problem = NotFound if answer.status == http.HTTPStatus.NOT_FOUND else ClusterError
            raise problem(f"{method} {path} was answered {answer.status}: {said}")
        return content

    def close(self) -> None:
        """Close the connection; the next request opens it anew."""
        self._connection.close()

    def is_ready(self) -> bool:
        """Whether the server says that it is ready; raises OSError while it does not listen."""
        try:
            return self.request("GET", "/readyz") == b"ok"
        except ClusterError:
            return False

    def list(self, path: str) -> list[Mapping[str, Mapping[str, object]]]:
        """The items of a list."""
        items: list[Mapping[str, Mapping[str, object]]]
        items = json.loads(self.request("GET", path))["items"]
        return items

    def nodes(self, selector: str = "") -> Mapping[str, bool]:
        """Whether each node is Ready; `selector` is an escaped label selector."""
        return {
            str(node["metadata"]["name"]): _is_ready(node["status"])
            for node in self.list(f"/api/v1/nodes?labelSelector={selector}")
        }


def connect(layout: Layout, server: str = "") -> closing[Api]:
    """A client (see `client`) whose connection is closed in the end."""
    return closing(client(layout, server))


def client(layout: Layout, server: str = "") -> Api:
    """A connection to the cluster's API server, opened with the first request.

    Or to another `server`, HOST:PORT, that believes the cluster's authority: a real kubelet.
    """
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    host = server or str(layout.api_address)
    return Api(http.client.HTTPSConnection(host, context=context, timeout=30))


def _is_ready(status: Mapping[str, object]) -> bool:
    conditions = status.get("conditions", [])
    assert isinstance(conditions, list)
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
