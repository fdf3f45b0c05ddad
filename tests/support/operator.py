"""The operator as a process of this machine, with the rights of its ServiceAccount."""

import base64
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.support.kit import OPERATORS, Kit, until
from tests.support.paths import collection

USER = f"system:serviceaccount:{OPERATORS}:flexvolume-operator"


class Operator:
    """Started, stopped and killed by tests; its log is in `log`."""

    def __init__(self, kit: Kit, folder: Path, identity: str = "test", server: str = "") -> None:
        self._identity = identity
        self.log = folder / "operator.log"
        self._kubeconfig = folder / "operator.kubeconfig"
        self._kubeconfig.write_text(yaml.safe_dump(_own_kubeconfig(kit, server)))
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        # More of its command line, from the next start.
        self.options: list[str] = []

    def start(self, *, as_leader: bool = True) -> None:
        """Start, and return when it says that it is ready: to act, or to take over."""
        self.spawn()
        what = f"the operator is ready; its log is {self.log}"
        until(lambda: self._is_ready() and self.leads == as_leader, 30, what)

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start and return at once."""
        command = [
            *(sys.executable, "-m", "flexvolume_operator", "run"),
            f"--kubeconfig={self._kubeconfig}",
            f"--lease-namespace={OPERATORS}",
            f"--listen=127.0.0.1:{self._port}",
            f"--kubelet-account={OPERATORS}/flexvolume-kubelet-reader",
            "--installer-image=localhost/flexvolume-installer:dev",
            f"--identity={self._identity}",
            *self.options,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return self._process

    @property
    def leads(self) -> bool:
        """Whether it holds the Lease."""
        return self.metric("flexvolume_leader") == 1

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL."""
        return self._end(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """A signal, with no regard to what follows."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout: float) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._process is not None
        return self._process.wait(timeout)

    @property
    def credential(self) -> str:
        """The name of its token in the audit log; no two operators have the same."""
        user = yaml.safe_load(self._kubeconfig.read_text())["users"][0]["user"]
        claims = json.loads(base64.urlsafe_b64decode(user["token"].split(".")[1] + "=="))
        return f"JTI={claims['jti']}"

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of a request to its own server."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}{path}", timeout=5
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, line: str) -> float:
        """The value of one series, such as `name{label="x"}`; 0.0 if it is not there."""
        for found in self.get("/metrics")[1].splitlines():
            name, _, value = found.rpartition(" ")
            if name == line:
                return float(value)
        return 0.0

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> int:
        if self._process is None or self._process.poll() is not None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(timeout=20)
        self._process = None
        return code


def _own_kubeconfig(kit: Kit, server: str) -> dict[str, object]:
    """The administrator's kubeconfig with the ServiceAccount's token in place of the rights."""
    found = yaml.safe_load(kit.kubeconfig.read_text())
    if server:
        found["clusters"][0]["cluster"]["server"] = server
    account = f"{collection('serviceaccounts', OPERATORS)}/flexvolume-operator"
    asked = kit.request("POST", f"{account}/token", {"spec": {"expirationSeconds": 4 * 3600}})
    user = {"token": asked["status"]["token"]}
    return {**found, "users": [{"name": found["users"][0]["name"], "user": user}]}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def log_end(kit: Kit) -> int:
    """Where the audit log ends: what is asked for from now on comes behind it."""
    return kit.cluster.audit_log.stat().st_size


def requests(kit: Kit, since: int = 0) -> list[dict[str, Any]]:
    """The operator's requests from the audit log, beginning at a byte of it."""
    with kit.cluster.audit_log.open() as log:
        log.seek(since)
        entries = [json.loads(line) for line in log if line.endswith("\n")]
    return [entry for entry in entries if entry["user"]["username"] == USER]


def changes(kit: Kit, since: int) -> list[tuple[str, str, str]]:
    """Its writes but Lease renewals and requests of tokens: verb, resource, name."""
    return [
        (
            str(entry["verb"]),
            "/".join(filter(None, (ref["resource"], ref.get("subresource", "")))),
            ref.get("name", ""),
        )
        for entry in requests(kit, since)
        if isinstance(ref := entry.get("objectRef"), dict)
        and entry["verb"] in {"create", "update", "patch", "delete"}
        and ref["resource"] not in {"leases", "serviceaccounts"}
        and "dryRun=All" not in str(entry["requestURI"])
    ]
