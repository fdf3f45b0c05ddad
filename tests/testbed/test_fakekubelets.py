"""Fake kubelets over real sockets, on loopback addresses, without a cluster."""

import http.client
import json
import os
import socket
import ssl
from ipaddress import IPv4Address

import pytest

from testbed import ClusterError, fakekubelets, plugindir, processes
from testbed.certificates import Authority
from testbed.fakekubelets import PORT, Answer, Request
from testbed.layout import Layout

OTHER = 10300


class Local(Layout):
    """A cluster's places without its network; its slot is not one that a cluster has."""

    @property
    def gateway(self):
        return IPv4Address(f"127.77.{self.slot}.2")


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEXVOLUME_STATE", str(tmp_path_factory.mktemp("state")))
        layout = Local("kubelets", 100 + os.getpid() % 150)
        layout.logs.mkdir(parents=True)
        Authority.create(layout.pki)
        fakekubelets.start(layout)
        yield layout
        processes.kill(layout.state)


@pytest.fixture(autouse=True)
def _nothing_asked(layout):
    fakekubelets.forget(layout)


def ask(layout, port=PORT, *, path="/configz", token="secret", timeout=5):
    """The answer's status and body, from somebody who trusts the cluster's authority only."""
    return answer(connect(layout, port, timeout), path, token)


def connect(layout, port=PORT, timeout=5):
    context = ssl.create_default_context(cafile=layout.pki / "ca.crt")
    return http.client.HTTPSConnection(f"{layout.gateway}", port, context=context, timeout=timeout)


def answer(connection, path="/configz", token="secret"):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def directory(said):
    status, body = said
    assert status == 200
    return json.loads(body)["kubeletconfig"]["volumePluginDir"]


def test_kubelets_look_in_the_default_directory_and_answer_about_as_much_as_a_real_one(layout):
    said = ask(layout)
    assert directory(said) == plugindir.DEFAULT
    assert 2500 < len(said[1]) < 3500


def test_nobody_is_told_without_a_token_and_nothing_but_the_configuration(layout):
    assert ask(layout, token="")[0] == 401
    assert ask(layout, path="/pods")[0] == 404


def test_every_request_is_counted_with_its_path_and_token(layout):
    for path, token in [("/configz", "a"), ("/configz", "a"), ("/pods", "b"), ("/configz", "")]:
        ask(layout, path=path, token=token)
    wanted = [Request("/configz", "a", 2), Request("/pods", "b", 1), Request("/configz", "", 1)]
    assert fakekubelets.asked(layout)[PORT] == wanted
    fakekubelets.forget(layout)
    assert fakekubelets.asked(layout)[PORT] == []


def test_one_connection_can_ask_again(layout):
    connection = connect(layout)
    connection.connect()
    own = connection.sock
    for _ in range(3):
        connection.request("GET", "/configz", headers={"Authorization": "bearer x"})
        assert connection.getresponse().read()
        assert connection.sock is own
    connection.close()


def test_another_port_answers_otherwise_until_it_is_told_something_else(layout):
    fakekubelets.serve(layout, {OTHER: Answer("/opt/x/")})
    assert directory(ask(layout, OTHER)) == "/opt/x/"
    assert directory(ask(layout)) == plugindir.DEFAULT
    fakekubelets.serve(layout, {OTHER: Answer("some/where")})
    assert directory(ask(layout, OTHER)) == "some/where"
    fakekubelets.serve(layout, {OTHER: None})
    with pytest.raises(ConnectionRefusedError):
        ask(layout, OTHER)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 429, 500])
def test_a_status_is_answered_to_who_has_a_token(layout, status):
    fakekubelets.serve(layout, {OTHER: Answer(status=status)})
    assert ask(layout, OTHER)[0] == status
    assert fakekubelets.asked(layout)[OTHER] == [Request("/configz", "secret", 1)]


def test_an_answer_can_be_no_json_or_without_the_field_or_with_null(layout):
    manners = {OTHER: "not-json", OTHER + 1: "no-field", OTHER + 2: "null"}
    fakekubelets.serve(layout, {port: Answer(manner=each) for port, each in manners.items()})
    with pytest.raises(json.JSONDecodeError):
        directory(ask(layout, OTHER))
    with pytest.raises(KeyError, match="volumePluginDir"):
        directory(ask(layout, OTHER + 1))
    assert directory(ask(layout, OTHER + 2)) is None


def test_a_redirect_leads_to_where_a_follower_is_seen(layout):
    fakekubelets.serve(layout, {OTHER: Answer(manner="redirect")})
    assert ask(layout, OTHER) == (302, b"")


def test_a_kubelet_can_hang_be_slow_or_hang_up(layout):
    fakekubelets.serve(layout, {OTHER: Answer(manner="hang"), OTHER + 1: Answer(manner="slow")})
    with pytest.raises(TimeoutError):
        ask(layout, OTHER, timeout=0.3)
    with pytest.raises(TimeoutError):
        ask(layout, OTHER + 1, timeout=0.3)
    fakekubelets.serve(layout, {OTHER: Answer(manner="slow", seconds=0.1)})
    assert directory(ask(layout, OTHER)) == plugindir.DEFAULT
    fakekubelets.serve(layout, {OTHER: Answer(manner="closes-connection")})
    with pytest.raises(ConnectionError):
        ask(layout, OTHER)
    assert fakekubelets.asked(layout)[OTHER] == [Request("/configz", "secret", 3)]


def test_an_endless_answer_ends_with_its_reader(layout):
    fakekubelets.serve(layout, {OTHER: Answer(manner="huge")})
    connection = connect(layout, OTHER)
    connection.request("GET", "/configz", headers={"Authorization": "Bearer secret"})
    response = connection.getresponse()
    assert response.read(8) == b'{"a":"xx'
    assert len(response.read(5_000_000)) == 5_000_000
    response.close()
    connection.close()
    assert directory(ask(layout)) == plugindir.DEFAULT


def test_a_wrong_certificate_is_one_that_only_the_trusting_accept(layout):
    fakekubelets.serve(layout, {OTHER: Answer(manner="wrong-certificate")})
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(layout, OTHER)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(f"{layout.gateway}", OTHER, context=trusting)
    assert directory(answer(connection)) == plugindir.DEFAULT
    assert fakekubelets.asked(layout)[OTHER] == [Request("/configz", "secret", 1)]


def test_a_kubelet_without_tls_tells_who_wants_it(layout):
    fakekubelets.serve(layout, {OTHER: Answer(manner="plain-http")})
    with pytest.raises(ssl.SSLError):
        ask(layout, OTHER)
    plain = http.client.HTTPConnection(f"{layout.gateway}", OTHER, timeout=5)
    assert directory(answer(plain)) == plugindir.DEFAULT


def test_what_cannot_be_done_is_said(layout):
    with pytest.raises(ClusterError, match="manner is 'rude'; it must be empty or one of closes-"):
        Answer(manner="rude")
    with pytest.raises(ClusterError, match="status is 299; it must be one that HTTP has a name"):
        Answer(status=299)
    taken = socket.create_server((f"{layout.gateway}", OTHER + 3))
    with taken, pytest.raises(ClusterError, match="Address already in use"):
        fakekubelets.serve(layout, {OTHER + 3: Answer()})
    fakekubelets.serve(layout, {OTHER + 3: Answer()})
    assert directory(ask(layout, OTHER + 3)) == plugindir.DEFAULT
