"""What answers on a kubelet's port, and what it means."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvolume_operator.directories import configz
from flexvolume_operator.directories.configz import LIMIT, VERIFIED, Trouble, read, too_old


def body(directory):
    return json.dumps({"kubeletconfig": {"kind": "x", "volumePluginDir": directory}}).encode()


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("/usr/libexec/volume/exec/", "/usr/libexec/volume/exec"),
        ("/a//b/./c/../d/", "/a/b/d"),
        ("//x", "/x"),
        ("/home/a~b/plugins", "/home/a~b/plugins"),
        ("/mit Leerzeichen/ü", "/mit Leerzeichen/ü"),
        ("/" + "x" * 252, "/" + "x" * 252),
    ],
)
def test_a_directory_is_written_in_its_one_spelling(said, path):
    found = read(200, body(said), VERIFIED)
    assert (found.path, found.tls, found.reason) == (path, VERIFIED, "")


@pytest.mark.parametrize(
    ("status", "content", "trouble"),
    [
        (401, b"Unauthorized", Trouble.UNAUTHORIZED),
        (403, b"Forbidden", Trouble.FORBIDDEN),
        (404, b"", Trouble.NOT_SERVED),
        (405, b"Debug endpoints are disabled.", Trouble.NOT_SERVED),
        (429, b"", Trouble.SERVER_ERROR),
        (500, b"", Trouble.SERVER_ERROR),
        (301, b"", Trouble.INVALID_ANSWER),
        (204, b"", Trouble.INVALID_ANSWER),
        (200, b"", Trouble.INVALID_ANSWER),
        (200, b"<html>", Trouble.INVALID_ANSWER),
        (200, b"\xff\xfe", Trouble.INVALID_ANSWER),
        (200, b"null", Trouble.INVALID_ANSWER),
        (200, b"[]", Trouble.INVALID_ANSWER),
        (200, b"{}", Trouble.INVALID_ANSWER),
        (200, b'{"kubeletconfig": null}', Trouble.INVALID_ANSWER),
        (200, b'{"kubeletconfig": {"volumePluginDir": 7}}', Trouble.INVALID_ANSWER),
        (200, body(""), Trouble.INVALID_ANSWER),
        (200, body("relative"), Trouble.INVALID_ANSWER),
        (200, body("/.."), Trouble.INVALID_ANSWER),
        (200, body("/a\nb"), Trouble.INVALID_ANSWER),
        (200, b" " * (LIMIT + 1), Trouble.INVALID_ANSWER),
    ],
)
def test_everything_else_is_a_reason_in_words(status, content, trouble):
    found = read(status, content, VERIFIED)
    assert (found.path, found.reason) == ("", trouble)
    assert found.over
    assert found.message


@given(st.integers(100, 599), st.binary(max_size=200))
def test_whatever_comes_there_is_a_path_or_a_reason(status, content):
    found = read(status, content, "")
    assert bool(found.path) != bool(found.reason)
    assert len(found.message) <= 256


def test_what_passes_by_itself_is_not_what_somebody_has_to_change():
    assert Trouble.FORBIDDEN not in configz.PASSING
    assert {Trouble.UNREACHABLE, Trouble.TIMED_OUT} <= configz.PASSING


@pytest.mark.parametrize(
    ("version", "old"),
    [
        ("v1.32.9", True),
        ("v1.29.0-eks-1", True),
        ("v1.33.0", False),
        ("v1.36.3+k3s1", False),
        ("v2.0", False),
        ("", False),
        ("unknown", False),
        ("v1.x", False),
    ],
)
def test_kubelets_before_1_33_are_known_to_refuse(version, old):
    assert too_old(version) == old
