import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexvolume_operator.model.names import DEFAULT_PLUGIN_DIR
from flexvolume_operator.render.daemonset import Installer, render
from flexvolume_operator.render.gate import Place
from tests.support.specs import FROM_CONFIG_MAP, FROM_SECRET
from tests.unit.builders import flexdriver

INSTALLER = Installer("flexvolume-installers", "registry.example/installer:1")
PLACE = Place(DEFAULT_PLUGIN_DIR)


def rendered(rivals=(), place=PLACE, installer=INSTALLER, **spec):
    return render(flexdriver(**spec), place, installer, rivals)


def pod_of(**spec):
    return rendered(**spec).manifest["spec"]["template"]["spec"]


def containers(pod):
    return {c["name"]: c for c in pod["initContainers"] + pod["containers"]}


def volumes(pod):
    return {v["name"]: {k: w for k, w in v.items() if k != "name"} for v in pod["volumes"]}


def mounts(container):
    return {
        m["name"]: (m["mountPath"], m.get("mountPropagation")) for m in container["volumeMounts"]
    }


@pytest.mark.parametrize("version", ["1.29", "1.36"])
@pytest.mark.parametrize("policy", ["Enforce", "Skip"])
@pytest.mark.parametrize("method", ["Copy", "Entrypoint"])
def test_kubernetes_takes_it(version, policy, method):
    manifest = rendered(
        rivals=["other"],
        verify={"policy": policy, "context": "HostPrivileged"},
        install={"method": method, "files": [FROM_CONFIG_MAP, FROM_SECRET]},
        adoptionPolicy="Never" if policy == "Skip" else "Always",
        requirements={"architectures": ["amd64"]},
        imagePullSecrets=[{"name": "pull"}],
        podMetadata={"labels": {"team": "a"}, "annotations": {"b": "c"}},
        placement={
            "nodeSelector": {"pool": "a"},
            "tolerations": [{"key": "x", "effect": "NoSchedule"}],
        },
    ).manifest
    kubernetes_validate.validate(manifest, version, strict=True)


class TestObject:
    def test_it_belongs_to_its_flexdriver(self):
        assert rendered().manifest["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "flexvolume.io/v1alpha1",
                "kind": "FlexDriver",
                "name": "nfs",
                "uid": "u-nfs",
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ]

    def test_it_is_found_by_labels_and_selects_by_three_of_them(self):
        manifest = rendered().manifest
        selector = {
            "flexvolume.io/driver": "nfs",
            "flexvolume.io/role": "kubelet",
            "flexvolume.io/directory": "1ac0e113",
        }
        ours = selector | {
            "app.kubernetes.io/name": "flexvolume-installer",
            "app.kubernetes.io/managed-by": "flexvolume-operator",
        }
        template = manifest["spec"]["template"]["metadata"]["labels"]
        assert manifest["metadata"]["labels"] == ours
        assert manifest["spec"]["selector"]["matchLabels"] == selector
        assert ours.items() <= template.items()

    def test_pods_are_replaced_by_the_operator_only(self):
        assert rendered().manifest["spec"]["updateStrategy"] == {"type": "OnDelete"}

    def test_hashes_are_on_the_pods(self):
        found = rendered()
        metadata = found.manifest["spec"]["template"]["metadata"]
        assert metadata["labels"]["flexvolume.io/revision"] == found.revision
        assert metadata["labels"]["flexvolume.io/template"] == found.template
        for annotations in (found.manifest["metadata"]["annotations"], metadata["annotations"]):
            assert annotations["flexvolume.io/template-hash"] == found.template_hash

    def test_the_users_labels_come_along_but_never_in_place_of_ours(self):
        labels = {"team": "a", "flexvolume.io/driver": "x", "flexvolume.io/template": "y"}
        found = rendered(podMetadata={"labels": labels, "annotations": {"note": "b"}})
        metadata = found.manifest["spec"]["template"]["metadata"]
        assert metadata["labels"]["team"] == "a"
        assert metadata["labels"]["flexvolume.io/driver"] == "nfs"
        assert metadata["labels"]["flexvolume.io/template"] == found.template
        assert metadata["annotations"]["note"] == "b"


class TestPod:
    def test_it_has_no_access_to_the_api_and_no_namespace_of_the_host(self):
        pod = pod_of()
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] == "flexvolume-installer"
        assert not {"hostPID", "hostNetwork", "hostIPC"} & pod.keys()

    def test_it_runs_as_root_whatever_the_image_says(self):
        pod = pod_of()
        for container in containers(pod).values():
            context = container["securityContext"]
            assert (context["runAsUser"], context["runAsGroup"]) == (0, 0)
            assert context["runAsNonRoot"] is False
        assert pod["securityContext"] == {
            "seccompProfile": {"type": "RuntimeDefault"},
            "seLinuxOptions": {"type": "spc_t"},
        }

    def test_each_container_has_the_rights_it_needs_and_no_more(self):
        for name, added in {
            "tools": None,
            "install": ["SYS_CHROOT", "DAC_OVERRIDE", "FOWNER"],
            "guard": ["DAC_OVERRIDE", "FOWNER"],
        }.items():
            context = containers(pod_of())[name]["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"]["drop"] == ["ALL"]
            assert context["capabilities"].get("add") == added

    def test_the_host_is_there_for_install_only(self):
        pod = pod_of()
        found = containers(pod)
        assert volumes(pod) == {
            "flexvolume": {"emptyDir": {}},
            "host": {"hostPath": {"path": "/"}},
            "plugins": {"hostPath": {"path": DEFAULT_PLUGIN_DIR}},
        }
        shared = ("/flexvolume", None)
        assert mounts(found["tools"]) == {"flexvolume": shared}
        assert mounts(found["install"]) == {
            "flexvolume": shared,
            "host": ("/host", "HostToContainer"),
        }
        assert mounts(found["guard"]) == {
            "flexvolume": shared,
            "plugins": ("/plugins", "HostToContainer"),
        }

    def test_without_verification_the_host_is_not_mounted_at_all(self):
        pod = pod_of(verify={"policy": "Skip"})
        assert volumes(pod) == {
            "flexvolume": {"emptyDir": {}},
            "plugins": {"hostPath": {"path": DEFAULT_PLUGIN_DIR, "type": "Directory"}},
        }
        assert mounts(containers(pod)["install"])["plugins"] == (
            "/host" + DEFAULT_PLUGIN_DIR,
            "HostToContainer",
        )

    def test_the_node_program_is_told_everything(self):
        found = containers(pod_of(verify={"timeoutSeconds": 7}, rivals=["b", "a"]))
        revision = rendered().revision
        assert found["tools"]["command"] == ["/installer", "tools", "/flexvolume/installer"]
        assert found["install"]["command"] == [
            "/flexvolume/installer",
            "install",
            f"--plugin-dir={DEFAULT_PLUGIN_DIR}",
            "--vendor=example.com",
            "--driver=nfs",
            "--source=/nfs",
            "--flexdriver=nfs",
            "--flexdriver-uid=u-nfs",
            f"--revision={revision}",
            "--verify=Enforce",
            "--timeout=7s",
            "--adoption-policy=IfIdentical",
            "--role=kubelet",
            "--install-id=$(FLEXVOLUME_POD_UID)",
            "--rival=a",
            "--rival=b",
        ]
        assert found["guard"]["command"] == [
            "/installer",
            "guard",
            f"--plugin-dir={DEFAULT_PLUGIN_DIR}",
            "--vendor=example.com",
            "--driver=nfs",
            "--install-id=$(FLEXVOLUME_POD_UID)",
        ]
        for name in ("install", "guard"):
            source = found[name]["env"][0]["valueFrom"]
            assert source == {"fieldRef": {"fieldPath": "metadata.uid"}}

    def test_a_dollar_in_a_path_reaches_the_node_as_it_is(self):
        command = containers(pod_of(install={"source": "/$(FLEXVOLUME_POD_UID)"}))["install"]
        assert "--source=/$$(FLEXVOLUME_POD_UID)" in command["command"]

    def test_it_runs_on_linux_machines_that_the_placement_means(self):
        pod = pod_of(placement={"nodeSelector": {"pool": "a"}, "priorityClassName": ""})
        assert pod["nodeSelector"] == {"pool": "a", "kubernetes.io/os": "linux"}
        assert pod["tolerations"] == [{"operator": "Exists"}]
        assert "priorityClassName" not in pod
        assert pod_of()["priorityClassName"] == "system-node-critical"

    def test_resources_are_all_ours_or_all_the_users(self):
        found = containers(pod_of(resources={"install": {"limits": {"memory": "8Mi"}}}))
        assert found["install"]["resources"] == {"limits": {"memory": "8Mi"}}
        assert found["guard"]["resources"]["requests"] == {"cpu": "1m", "memory": "8Mi"}

    def test_images_and_secrets_are_as_asked(self):
        installer = Installer("ns", "own/installer:2", "Always")
        pod = pod_of(
            installer=installer, imagePullPolicy="Never", imagePullSecrets=[{"name": "pull"}]
        )
        images = {name: (c["image"], c["imagePullPolicy"]) for name, c in containers(pod).items()}
        assert images == {
            "tools": ("own/installer:2", "Always"),
            "install": ("registry.example/nfs:1", "Never"),
            "guard": ("own/installer:2", "Always"),
        }
        assert pod["imagePullSecrets"] == [{"name": "pull"}]


class TestHashes:
    def test_the_revision_is_the_drivers_content(self):
        first = rendered().revision
        assert rendered(image="registry.example/nfs:2").revision != first
        assert rendered(driver="nfs2").revision != first
        assert rendered(install={"source": "/other"}).revision != first
        assert rendered(install={"source": "/nfs"}).revision == first

    def test_what_leaves_the_driver_alone_leaves_the_revision_alone(self):
        first = rendered()
        for other in (
            rendered(podMetadata={"labels": {"a": "b"}}),
            rendered(installer=Installer("ns", "newer")),
            rendered(verify={"timeoutSeconds": 9}),
            rendered(place=Place("/opt/flex")),
        ):
            assert other.revision == first.revision
            assert other.template != first.template

    def test_rivals_change_the_complete_hash_only(self):
        alone, contested = rendered(), rendered(rivals=["other"])
        assert alone.template == contested.template
        assert alone.template_hash != contested.template_hash
        assert contested == rendered(rivals=["other"])

    def test_what_is_not_in_the_pod_changes_nothing(self):
        assert rendered() == rendered(suspend=True)


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), min_size=1)


@given(image=PRINTABLE, source=PRINTABLE, label=PRINTABLE, secret=PRINTABLE)
def test_no_value_can_change_the_shape_of_the_pod(image, source, label, secret):
    spec = {
        "image": image,
        "install": {"source": f"/{source}."},
        "podMetadata": {"annotations": {label: label}},
        "imagePullSecrets": [{"name": secret}],
    }
    odd = render(flexdriver(**spec), PLACE, INSTALLER).manifest
    pod = odd["spec"]["template"]
    found = containers(pod["spec"])
    assert found["install"]["image"] == image
    assert f"--source=/{source}.".replace("$", "$$") in found["install"]["command"]
    assert pod["metadata"]["annotations"][label] == label
    assert pod["spec"]["imagePullSecrets"] == [{"name": secret}]
    plain = pod_of(imagePullSecrets=[{"name": "x"}])
    assert pod["spec"].keys() == plain.keys()
    assert [set(c) for c in found.values()] == [set(c) for c in containers(plain).values()]
