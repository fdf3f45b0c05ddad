"""Talks to the API server about our own kinds the way a user does: YAML in, message out."""

import json
import subprocess
from pathlib import Path
from typing import Any, Protocol

CRDS = Path(__file__).resolve().parents[2] / "crds"

Object = dict[str, Any]

_STDIN = ("--validate=strict", "--filename=-")


class Cluster(Protocol):
    """What these tests need of a test cluster."""

    def kubectl(self, *args: str, input: str | None = None) -> subprocess.CompletedProcess[str]:  # noqa: A002
        """Run kubectl as the administrator, whatever its exit code."""


def install_crds(cluster: Cluster) -> None:
    """Create or update our kinds and wait until they are served."""
    ok(cluster, "apply", "--server-side", "--force-conflicts", "--filename", str(CRDS))
    ok(cluster, "wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRDS))


def ok(cluster: Cluster, *args: str, stdin: str | None = None) -> str:
    """Standard output of a kubectl command that has to succeed."""
    done = cluster.kubectl(*args, input=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def flexdriver(name: str = "nfs", /, **spec: Any) -> Object:
    """A FlexDriver that is right, with the given fields of spec; None leaves a field out."""
    fields = {"vendor": "example.com", "driver": "nfs", "image": "registry.example/nfs:1"} | spec
    return {
        "apiVersion": "flexvolume.io/v1alpha1",
        "kind": "FlexDriver",
        "metadata": {"name": name},
        "spec": {field: value for field, value in fields.items() if value is not None},
    }


def created(cluster: Cluster, body: Object, *, dry_run: bool = True) -> Object:
    """The object as the API server stores it, or with `dry_run` would store it."""
    how = "--dry-run=server" if dry_run else "--dry-run=none"
    text = ok(cluster, "create", how, *_STDIN, "--output=json", stdin=json.dumps(body))
    stored: Object = json.loads(text)
    return stored


def refusal(cluster: Cluster, body: Object, verb: str = "create") -> str:
    """What the API server says to an object that it must not take."""
    done = cluster.kubectl(verb, "--dry-run=server", *_STDIN, input=json.dumps(body))
    assert done.returncode != 0, f"accepted: {body}"
    return done.stderr
