"""Kubelets that know GET /configz and nothing else: ports of one address, one behaviour each.

A program of its own, run by its path: it needs nothing but Python, so it is there at once. What the
ports do and what they were asked is told in lines of JSON on an address of the machine itself;
`testbed.fakekubelets` speaks that. A new connection costs TLS and little else, as thousands are
made within seconds on the machine where the asking is measured.
"""

import asyncio
import json
import resource
import socket
import ssl
import sys
from collections import Counter
from http import HTTPStatus
from typing import Any

Asked = Counter[tuple[str, str]]

# Everybody comes at once.
BACKLOG = 4096
BODIES = {
    401: "Unauthorized",
    403: "Forbidden (user=somebody, verb=get, resource=nodes, subresource(s)=[configz proxy])",
    404: "404 page not found\n",
    405: "Debug endpoints are disabled.",
}
TEXT, JSON = "text/plain; charset=utf-8", "application/json"
# The first byte of whoever wants to speak TLS.
TLS = b"\x16"
# A part of a body without an end, as HTTP has it.
ENDLESS = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"


class Connection:
    """One client of a port: requests without bodies, one after the other."""

    def __init__(self, port: "Port", own: socket.socket) -> None:
        self._port = port
        self._socket = own
        # The loop takes sockets, too, but then describes them in errors that nobody sees.
        self._number = own.fileno()
        self._stands = not isinstance(own, ssl.SSLSocket)
        self._received = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._number, self._read)
        port.connections.add(self)

    def close(self) -> None:
        """Hang up, also for the second time."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._number)
            self._loop.remove_writer(self._number)
        self._socket.close()
        self._port.connections.discard(self)

    def _read(self) -> None:
        try:
            if isinstance(self._socket, ssl.SSLSocket) and not self._stands:
                self._socket.do_handshake()
            self._stands = True
            received = self._socket.recv(0x10000)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            received = b""
        self._received += received
        if self._received[:1] == TLS:
            self._write(response(400, TEXT, "client sent TLS to a server without it"))
            received = b""
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._answer(head.decode("latin-1"))
        if not received:
            self.close()

    def _answer(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        path = first.partition(" ")[2].partition(" ")[0]
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token if scheme.lower() == "bearer" else ""
        self._port.asked[path, token] += 1
        if not token:
            self._write(denial(401))
        elif path != "/configz":
            self._write(denial(404))
        else:
            self._configz()

    def _configz(self) -> None:
        match self._port.manner:
            case "hang":
                return
            case "closes-connection":
                self.close()
            case "slow":
                self._loop.call_later(self._port.seconds, self._write, self._port.reply)
            case "huge":
                self._write(self._port.reply)
                self._loop.add_writer(self._number, self._write, ENDLESS)
            case _:
                self._write(self._port.reply)

    def _write(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except ssl.SSLWantWriteError:
            # Only an endless answer fills the buffer, and its next part is the same once more.
            return
        except OSError:
            self.close()


class Port:
    """What one port does; its requests are counted in `asked` by path and bearer token."""

    def __init__(self, answer: dict[str, Any], body: dict[str, Any], asked: Asked) -> None:
        self.manner: str = answer["manner"]
        self.seconds: float = answer["seconds"]
        self.reply = reply(answer, body)
        self.asked = asked
        self.connections: set[Connection] = set()

    def listen(self, address: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Accept connections."""
        self._tls = tls
        self._listener = socket.create_server((address, port), backlog=BACKLOG)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more and break those that there are."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for connection in list(self.connections):
            connection.close()

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                own, _ = self._listener.accept()
            except OSError:
                return
            own.setblocking(False)
            # Else an answer may wait 40 ms for the client's word that it has got what was before.
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                own = self._tls.wrap_socket(own, server_side=True, do_handshake_on_connect=False)
            Connection(self, own)


class Server:
    """All ports of an address. `certificates` are files without .crt and .key: good and wrong."""

    def __init__(self, address: str, certificates: list[str], body: dict[str, Any]) -> None:
        self._address = address
        self._good, self._wrong = map(context, certificates)
        self._body = body
        self._ports: dict[int, Port] = {}
        self._asked: dict[int, Asked] = {}

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do what the lines of one connection say: serve, asked, forget."""
        while line := await reader.readline():
            try:
                said: object = self.do(json.loads(line))
            except (OSError, OverflowError) as problem:
                said = {"error": str(problem)}
            writer.write(json.dumps(said).encode() + b"\n")
            await writer.drain()
        writer.close()

    def do(self, command: dict[str, Any]) -> object:
        """Change what ports do (null: nothing listens), and tell or forget what they were asked."""
        for port, answer in command.get("serve", {}).items():
            self._serve(int(port), answer)
        if "forget" in command:
            for asked in self._asked.values():
                asked.clear()
        return {
            port: [[path, token, count] for (path, token), count in asked.items()]
            for port, asked in self._asked.items()
        }

    def _serve(self, port: int, answer: dict[str, Any] | None) -> None:
        if before := self._ports.pop(port, None):
            before.close()
        if answer is None:
            return
        served = Port(answer, self._body, self._asked.setdefault(port, Counter()))
        tls = self._wrong if served.manner == "wrong-certificate" else self._good
        served.listen(self._address, port, None if served.manner == "plain-http" else tls)
        self._ports[port] = served


def reply(answer: dict[str, Any], body: dict[str, Any]) -> bytes:
    """What is written to who asks for /configz and may."""
    if answer["status"] != HTTPStatus.OK:
        return denial(answer["status"])
    configuration = {**body["kubeletconfig"], "volumePluginDir": answer["directory"]}
    match answer["manner"]:
        case "not-json":
            return response(200, "text/html", "<html><body>Welcome!</body></html>")
        case "redirect":
            return response(302, "text/html", "", "Location: /elsewhere\r\n")
        case "huge":
            start = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
            return f'{start}4\r\n{{"a"\r\n2\r\n:"\r\n'.encode()
        case "no-field":
            del configuration["volumePluginDir"]
        case "null":
            configuration["volumePluginDir"] = None
    text = json.dumps({**body, "kubeletconfig": configuration}, separators=(",", ":"))
    return response(200, JSON, text)


def response(status: int, kind: str, body: str, header: str = "") -> bytes:
    """A whole answer."""
    content = body.encode()
    start = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{header}Content-Type: {kind}\r\n"
    return f"{start}Content-Length: {len(content)}\r\n\r\n".encode() + content


def denial(status: int) -> bytes:
    """The answer of a kubelet that tells nothing."""
    return response(status, TEXT, BODIES.get(status, HTTPStatus(status).phrase))


def context(certificate: str) -> ssl.SSLContext:
    """TLS with a certificate, and one ticket for who comes back, as Go has it."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
    found.num_tickets = 1
    return found


async def main(settings: dict[str, Any]) -> None:
    """Serve until the end."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server = Server(settings["address"], settings["certificates"], settings["body"])
    server.do(settings)
    listener = await asyncio.start_server(server.control, *settings["control"])
    await listener.serve_forever()


if __name__ == "__main__":
    with open(sys.argv[1]) as file:  # noqa: PTH123  importing pathlib takes its time
        asyncio.run(main(json.load(file)))
