"""What each container is given is what it needs: with one thing less a real pod fails, and says so.

Every case is a pod as rendered but for one change. They run side by side, each with a driver of its
own, and some in a plugin directory that belongs to somebody else.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.support import drivers
from tests.support.kit import Kit, Object, flexdriver, until
from tests.support.rendered import container, is_guarded, namespace, pod, rendered, report

pytestmark = pytest.mark.node

NAMESPACE = "privileges"
PLUGINS = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"
THEIRS = "/opt/theirs/exec"
SOMEBODY = 1000
SOURCE = "/driver"
SKIP = {"verify": {"policy": "Skip"}}
PRIVILEGED = {"verify": {"context": "HostPrivileged"}}
# An init that can do its work only with more rights than a container usually has.
NEEDY = """mount -t tmpfs tmpfs /mnt 2>/dev/null || {
    echo '{"status":"Failure","message":"no right to mount"}'
    exit 1
}
umount /mnt
echo '{"status":"Success","capabilities":{"attach":false}}'"""

Change = Callable[[Object], object]


def without(name: str, capability: str) -> Change:
    """Take a capability from a container."""
    return lambda pod: capabilities(pod, name).remove(capability)


def capabilities(pod: Object, name: str) -> list[str]:
    """What is added for a container, to be changed in place."""
    given: list[str] = container(pod, name)["securityContext"]["capabilities"].setdefault("add", [])
    return given


def as_the_images_user(pod: Object) -> None:
    for context in (pod["spec"]["securityContext"], container(pod, "install")["securityContext"]):
        for setting in ("runAsUser", "runAsGroup", "runAsNonRoot"):
            context.pop(setting, None)


def bare(pod: Object) -> None:
    capabilities(pod, "install")[:] = ["SYS_CHROOT"]
    capabilities(pod, "guard").clear()
    del pod["spec"]["securityContext"]["seLinuxOptions"]


def unprivileged(pod: Object) -> None:
    context = container(pod, "install")["securityContext"]
    assert context.pop("privileged")
    context["allowPrivilegeEscalation"] = False


def read_only(name: str, volume: str) -> Change:
    def change(pod: Object) -> None:
        mounts = container(pod, name)["volumeMounts"]
        next(m for m in mounts if m["name"] == volume)["readOnly"] = True

    return change


@dataclass(frozen=True)
class Case:
    """A pod with a change, and how `install` ends in it; no reason means Installed."""

    change: Change | None = None
    reason: str = ""
    words: str = ""
    spec: Object = field(default_factory=dict)
    directory: str = PLUGINS
    image: str = "plain"
    adopts: bool = False  # somebody has put the same driver there, in a directory of his own


CASES = {
    # As rendered: enough, wherever the plugin directory is and whosever it is.
    "rendered": Case(),
    "theirs": Case(directory=THEIRS),
    "adopted": Case(directory=THEIRS, adopts=True),
    "skip": Case(spec=SKIP),
    "skip-theirs": Case(spec=SKIP, directory=THEIRS),
    "privileged": Case(spec=PRIVILEGED, image="needy"),
    "scratch": Case(spec={"install": {"method": "Entrypoint"}}, image="scratch"),
    # install, one thing less.
    "no-chroot": Case(without("install", "SYS_CHROOT"), "PermissionDenied", "SYS_CHROOT"),
    "no-dac": Case(
        without("install", "DAC_OVERRIDE"),
        "PermissionDenied",
        "permission denied",
        directory=THEIRS,
    ),
    "no-fowner": Case(
        without("install", "FOWNER"),
        "PermissionDenied",
        "operation not permitted",
        directory=THEIRS,
        adopts=True,
    ),
    "skip-no-dac": Case(
        without("install", "DAC_OVERRIDE"),
        "PermissionDenied",
        "permission denied",
        SKIP,
        directory=THEIRS,
    ),
    "user": Case(as_the_images_user, "PermissionDenied", "permission denied", image="users"),
    "unprivileged": Case(
        unprivileged, "InitFailed", "no right to mount", PRIVILEGED, image="needy"
    ),
    # guard, one thing less; what that means shows when there is something to repair.
    "guard-no-dac": Case(without("guard", "DAC_OVERRIDE")),
    "guard-no-fowner": Case(without("guard", "FOWNER")),
    # What other owners and SELinux are the only reason for; this node's plugin directory is root's.
    "bare": Case(bare),
    # No protection: it leaves alone what is mounted below, as these nodes' plugin directory is.
    "host-read-only": Case(read_only("install", "host")),
}
INSTALLED = [name for name, case in CASES.items() if not case.reason]


@pytest.fixture(scope="module")
def node(kit):
    """The node, with a plugin directory that is somebody else's."""
    node = kit.cluster.node("node-1")
    parent = Path(THEIRS).parent
    content = drivers.good("1").decode()
    script = [f"mkdir -p {THEIRS}"]
    for name in (name for name, case in CASES.items() if case.adopts):
        folder = f"{THEIRS}/example.com~{name}"
        script += [f"mkdir {folder}", f"cat >{folder}/{name} <<'END'\n{content}END"]
        script += [f"chmod 0755 {folder}/{name}", f"chmod 0777 {folder}"]
    node.exec(["sh", "-euc", "\n".join([*script, f"chown -R {SOMEBODY}:{SOMEBODY} {parent}"])])
    yield node
    ours = " ".join(f"{PLUGINS}/example.com~{name}" for name in CASES)
    node.exec(["sh", "-euc", f"rm -rf {parent} {ours}"])


@pytest.fixture(scope="module")
def pods(kit, node, image) -> Iterator[dict[str, Object]]:
    """All of them, once each has come as far as it comes."""
    references = {
        "plain": image("privileges", {SOURCE: drivers.good("1")}),
        "users": image("privileges-user", {SOURCE: drivers.good("1")}, {"User": "1234:1234"}),
        "needy": image("privileges-needy", {SOURCE: drivers.answering(NEEDY)}),
        "scratch": "localhost/upstream-style:dev",
    }
    kit.cluster.load_image(references["scratch"])
    namespace(kit, NAMESPACE)
    wanted = [driver(name, case, references[case.image]) for name, case in CASES.items()]
    made = []
    for (name, case), daemonset in zip(CASES.items(), rendered(wanted, NAMESPACE), strict=True):
        made.append(pod(daemonset, name, node.name))
        if case.change:
            before = copy.deepcopy(made[-1])
            case.change(made[-1])
            assert made[-1] != before, name
    kit.apply(*made)
    yield until(lambda: settled(kit), 100, "every pod has come as far as it comes")
    kit.cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=60s")


def driver(name: str, case: Case, reference: str) -> Object:
    made = flexdriver(name, reference, **{"install": {"source": SOURCE}} | case.spec)
    if case.directory != PLUGINS:
        made["spec"]["pluginDir"] = case.directory
        made["metadata"]["annotations"] = {"flexvolume.io/force-plugin-dir": ""}
    return made


def settled(kit: Kit) -> dict[str, Object] | None:
    found = {p["metadata"]["name"]: p for p in kit.list("pods", namespace=NAMESPACE)}
    done = {
        name
        for name, seen in found.items()
        if report(seen).get("result") == "Failed" or (report(seen) and is_guarded(seen))
    }
    return found if done == set(CASES) else None


@pytest.mark.parametrize("name", INSTALLED)
def test_it_is_enough_to_install(pods, name):
    said = report(pods[name])
    assert said["result"] == "Installed", said
    assert said["path"] == f"{CASES[name].directory}/example.com~{name}/{name}"


@pytest.mark.parametrize("name", sorted(CASES.keys() - set(INSTALLED)))
def test_without_it_the_report_has_the_reason(pods, name):
    case, said = CASES[name], report(pods[name])
    assert said["reason"] == case.reason, said
    assert case.words in said["message"]


def test_without_verification_there_is_no_right_to_chroot_and_nothing_of_the_host(pods):
    for name in ("skip", "skip-theirs"):
        assert "SYS_CHROOT" not in capabilities(copy.deepcopy(pods[name]), "install")
        paths = [v["hostPath"]["path"] for v in pods[name]["spec"]["volumes"] if "hostPath" in v]
        assert paths == [CASES[name].directory]


RIGHTS = {
    ("rendered", "tools"): [],
    ("rendered", "install"): ["SYS_CHROOT", "DAC_OVERRIDE", "FOWNER"],
    ("rendered", "guard"): ["DAC_OVERRIDE", "FOWNER"],
    ("skip", "install"): ["DAC_OVERRIDE", "FOWNER"],
    ("privileged", "guard"): ["DAC_OVERRIDE", "FOWNER"],
    ("scratch", "install"): ["SYS_CHROOT", "DAC_OVERRIDE", "FOWNER"],
}


@pytest.mark.parametrize(("name", "which"), RIGHTS)
def test_nothing_else_is_asked_for(pods, name, which):
    spec = pods[name]["spec"]
    assert not {"hostPID", "hostIPC", "hostNetwork"} & spec.keys()
    assert spec["automountServiceAccountToken"] is False
    added = RIGHTS[name, which]
    assert context(pods[name], which) == {
        "runAsUser": 0,
        "runAsGroup": 0,
        "runAsNonRoot": False,
        "seccompProfile": {"type": "RuntimeDefault"},
        "seLinuxOptions": {"type": "spc_t"},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]} | ({"add": added} if added else {}),
    }


def test_an_image_that_copies_its_driver_gets_no_right_and_nothing_of_the_node(pods):
    given = context(pods["scratch"], "entrypoint")
    assert given["allowPrivilegeEscalation"] is False
    assert given["capabilities"] == {"drop": ["ALL"]}
    mounts = container(pods["scratch"], "entrypoint")["volumeMounts"]
    assert [(m["name"], m["mountPath"]) for m in mounts] == [("flexmnt", "/flexmnt")]


def context(pod: Object, name: str) -> Object:
    """What counts for a container: its own settings, and the pod's where it has none."""
    own: Object = container(pod, name)["securityContext"]
    return pod["spec"]["securityContext"] | own


def test_the_kernel_gives_a_guard_what_is_asked_for_and_no_more(pods, node):
    """The process on the node: its capabilities, no-new-privs, and a seccomp filter."""
    uid = pods["rendered"]["metadata"]["uid"]
    script = f"""for folder in /proc/[0-9]*; do
        case $(tr '\\0' ' ' <"$folder/cmdline" 2>/dev/null) in
            "/installer guard "*{uid}*) cat "$folder/status" ;;
        esac
    done"""
    lines = node.exec(["sh", "-euc", script]).splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    dac_override, fowner = 1 << 1, 1 << 3
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kind], 16) == dac_override | fowner
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@dataclass(frozen=True)
class Damage:
    """What somebody does to a driver's directory, whose guards undo it, and whose cannot."""

    command: str
    able: Sequence[str]
    helpless: Sequence[str] = ()


AS_RENDERED = ("rendered", "theirs", "skip-theirs")
GIVEN_AWAY = f"chown -R {SOMEBODY} {{dir}}"
DAMAGES = {
    "deleted": Damage("rm {dir}/{name}", (*AS_RENDERED, "guard-no-dac", "guard-no-fowner", "bare")),
    "chowned": Damage(
        f"{GIVEN_AWAY}; rm {{dir}}/{{name}}",
        (*AS_RENDERED, "guard-no-fowner"),
        ("guard-no-dac", "bare"),
    ),
    "opened": Damage(
        f"{GIVEN_AWAY}; chmod 0777 {{dir}}; rm {{dir}}/{{name}}",
        AS_RENDERED,
        ("guard-no-fowner", "bare"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_guard_repairs_what_it_has_the_rights_for_and_names_what_is_missing(
    kit, pods, node, damage
):
    done = DAMAGES[damage]
    folders = {
        name: f"{CASES[name].directory}/example.com~{name}" for name in (*done.able, *done.helpless)
    }
    harm = [done.command.format(dir=folder, name=name) for name, folder in folders.items()]
    node.exec(["sh", "-euc", "\n".join(harm)])
    for name, folder in folders.items():
        if name in done.helpless:
            until(partial(refused, kit, name), 20, f"the guard of {name} says so")
            node.exec(["sh", "-euc", f"chown -R 0:0 {folder}; chmod 0755 {folder}"])
        until(partial(whole, node.path(f"{folder}/{name}")), 20, f"{name} is whole again")


def refused(kit: Kit, name: str) -> bool:
    log = kit.kubectl("logs", name, f"--namespace={NAMESPACE}", "--container=guard").stdout
    return "cannot repair: PermissionDenied" in log


def whole(file: Path) -> bool:
    return (
        file.is_file()
        and file.read_bytes() == drivers.good("1")
        and file.stat().st_mode & 0o7777 == 0o755
        and file.stat().st_uid == 0
        and file.parent.stat().st_mode & 0o7777 == 0o755
    )


def test_selinux_options_do_no_harm_where_there_is_no_selinux(pods):
    assert not Path("/sys/fs/selinux/enforce").exists()
    assert context(pods["rendered"], "guard")["seLinuxOptions"] == {"type": "spc_t"}
    assert "seLinuxOptions" not in context(pods["bare"], "guard")
