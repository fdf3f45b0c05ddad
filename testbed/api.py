"""A client of the API server with nothing to it, so that a thousand requests take seconds."""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from testbed.layout import Layout
from testbed.shell import ClusterError


class Api:
    """One connection, as the administrator."""

    def __init__(self, connection: http.client.HTTPSConnection) -> None:
        self._connection = connection

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """The answer's body; raises ClusterError unless the answer is 2xx. PATCH merges."""
        data = None if body is None else json.dumps(body)
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        self._connection.request(method, path, data, {"Content-Type": kind})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= http.HTTPStatus.MULTIPLE_CHOICES:
            said = content.decode(errors="replace")
            raise ClusterError(f"{method} {path} was answered {answer.status}: {said}")
        return content

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


@contextmanager
def connect(layout: Layout) -> Iterator[Api]:
    """A connection to the cluster's API server, opened with the first request."""
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    connection = http.client.HTTPSConnection(str(layout.api_address), context=context, timeout=30)
    try:
        yield Api(connection)
    finally:
        connection.close()


def _is_ready(status: Mapping[str, object]) -> bool:
    conditions = status.get("conditions", [])
    assert isinstance(conditions, list)
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
