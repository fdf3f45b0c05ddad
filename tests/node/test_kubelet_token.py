"""What can be done with the token with which kubelets are asked: read their configuration."""

import json
import ssl
import urllib.error
import urllib.request

import pytest

from tests.support.kit import OPERATORS, until

pytestmark = pytest.mark.node

ACCOUNT = f"system:serviceaccount:{OPERATORS}:flexvolume-kubelet-reader"
PORT = 10250


@pytest.fixture(scope="module")
def token(kit):
    return kit.cluster.kubectl(
        "create", "token", "flexvolume-kubelet-reader", f"--namespace={OPERATORS}"
    ).strip()


@pytest.fixture(scope="module")
def call(kit, token):
    """Send a request with the token; status and body."""
    context = ssl.create_default_context(cafile=str(kit.cluster.layout.pki / "ca.crt"))

    def send(url, method="GET", body: object = None):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    return send


@pytest.fixture(scope="module")
def kubelet(kit):
    addresses = kit.get("node", "node-1")["status"]["addresses"]
    address = next(a["address"] for a in addresses if a["type"] == "InternalIP")
    return f"https://{address}:{PORT}"


@pytest.fixture(scope="module")
def pod(kit):
    """An installer pod, which would be the one to get at."""
    (found, *_) = until(
        lambda: kit.list("pods", namespace=OPERATORS), 30, "the operator's pod is there"
    )
    return found["metadata"]["name"]


def test_it_reads_the_configuration(call, kubelet):
    status, body = call(f"{kubelet}/configz")
    assert status == 200
    assert json.loads(body)["kubeletconfig"]["volumePluginDir"].startswith("/")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/pods"),
        ("GET", "/runningpods/"),
        ("GET", "/metrics"),
        ("GET", "/stats/summary"),
        ("GET", "/logs/"),
        ("GET", "/containerLogs/{namespace}/{pod}/operator"),
        ("GET", "/exec/{namespace}/{pod}/operator?command=id&output=1"),
        ("POST", "/exec/{namespace}/{pod}/operator?command=id&output=1"),
        ("GET", "/attach/{namespace}/{pod}/operator"),
        ("POST", "/run/{namespace}/{pod}/operator?cmd=id"),
        ("GET", "/portForward/{namespace}/{pod}"),
        ("GET", "/debug/pprof/"),
        ("GET", "/checkpoint/{namespace}/{pod}/operator"),
        ("POST", "/configz"),
    ],
)
def test_the_kubelet_refuses_it_everything_else(call, kubelet, pod, method, path):
    status, _ = call(f"{kubelet}{path.format(namespace=OPERATORS, pod=pod)}", method)
    assert status == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/nodes"),
        ("GET", "/api/v1/nodes/node-1"),
        ("GET", "/api/v1/nodes/node-1/proxy/configz"),
        ("GET", "/api/v1/nodes/node-1/proxy/pods"),
        ("GET", "/api/v1/pods"),
        ("GET", "/api/v1/namespaces/{namespace}/pods/{pod}/log"),
        ("GET", "/api/v1/namespaces/{namespace}/pods/{pod}/exec?command=id"),
        ("GET", "/api/v1/namespaces/{namespace}/secrets"),
        ("GET", "/apis/flexvolume.io/v1alpha1/flexdrivers"),
        ("PATCH", "/api/v1/nodes/node-1"),
        ("POST", "/api/v1/namespaces/{namespace}/serviceaccounts/flexvolume-operator/token"),
    ],
)
def test_the_api_server_refuses_it_everything(kit, call, pod, method, path):
    server = f"https://{kit.cluster.layout.api_address}:443"
    body: object = None if method == "GET" else {}
    status, _ = call(server + path.format(namespace=OPERATORS, pod=pod), method, body)
    assert status == 403


def test_its_rights_are_those_of_everybody_and_one_more(kit, call):
    server = f"https://{kit.cluster.layout.api_address}:443"
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    status, body = call(server + path, "POST", review | {"spec": {"namespace": OPERATORS}})
    assert status == 201
    rules = json.loads(body)["status"]["resourceRules"]
    rights = {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule.get("apiGroups", ())
        for resource in rule.get("resources", ())
    }
    everybodys = {(v, g, r) for v, g, r in rights if r.startswith("selfsubject")}
    assert rights - everybodys == {("get", "", "nodes/configz")}


def test_nothing_of_ours_is_bound_to_anything_that_reaches_into_pods(kit):
    """Not the operator's account either: nodes/proxy lets run anything in any pod."""
    for account in ("flexvolume-operator", "flexvolume-kubelet-reader"):
        for verb, what in (("get", "nodes/proxy"), ("create", "pods/exec"), ("get", "secrets")):
            user = f"--as=system:serviceaccount:{OPERATORS}:{account}"
            said = kit.kubectl("auth", "can-i", verb, what, user, "--all-namespaces")
            assert said.stdout.strip() == "no", (account, verb, what)
