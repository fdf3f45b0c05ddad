"""Talks to the API server about our own kinds the way a user does: YAML in, message out."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from testbed import ClusterError
from tests.support.kit import Kit
from tests.support.paths import collection

CRDS = Path(__file__).resolve().parents[2] / "crds"

Object = dict[str, Any]

_STDIN = ("--validate=strict", "--filename=-")


def install_crds(cluster: Kit) -> None:
    """Create or update our kinds and wait until they are served."""
    ok(cluster, "apply", "--server-side", "--force-conflicts", "--filename", str(CRDS))
    ok(cluster, "wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRDS))


def ok(cluster: Kit, *args: str, stdin: str | None = None) -> str:
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


def created(cluster: Kit, body: Object, *, dry_run: bool = True) -> Object:
    """The object as the API server stores it, or with `dry_run` would store it.

    Made as kubectl does, without the time that a hundred runs of it take.
    """
    path = f"{collection(body['kind'])}?fieldValidation=Strict"
    stored: Object = cluster.request("POST", path + ("&dryRun=All" if dry_run else ""), body)
    return stored


def refusal(cluster: Kit, body: Object, verb: str = "create") -> str:
    """What the API server says to an object that it must not take."""
    if verb == "create":
        with pytest.raises(ClusterError) as refused:
            created(cluster, body)
        status: Object = json.loads(re.split(r" was answered 4\d\d: ", str(refused.value))[1])
        return str(status["message"])
    done = cluster.kubectl(verb, "--dry-run=server", *_STDIN, input=json.dumps(body))
    assert done.returncode != 0, f"accepted: {body}"
    return done.stderr
