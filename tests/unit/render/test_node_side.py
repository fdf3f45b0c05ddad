"""What a DaemonSet has to have for files, images that run by themselves, adoption and dry runs."""

import pytest

from flexvolume_operator.model.flexdriver import Affinity
from flexvolume_operator.model.install import Reference
from flexvolume_operator.model.names import DEFAULT_PLUGIN_DIR
from flexvolume_operator.render.affinity import on_machines
from flexvolume_operator.render.daemonset import Installer, render, revision
from flexvolume_operator.render.gate import Place
from tests.support.specs import FROM_CONFIG_MAP, FROM_IMAGE, FROM_SECRET
from tests.unit.builders import flexdriver

INSTALLER = Installer("flexvolume-installers", "registry.example/installer:1")
FILES = {"files": [FROM_IMAGE, FROM_CONFIG_MAP, FROM_SECRET]}
ENTRYPOINT = {"method": "Entrypoint"}
SKIP = {"policy": "Skip"}


def rendered(contents=None, **spec):
    return render(flexdriver(**spec), Place(DEFAULT_PLUGIN_DIR), INSTALLER, contents=contents or {})


def pod_of(**spec):
    return rendered(**spec).manifest["spec"]["template"]["spec"]


def container(pod, name):
    return next(c for c in pod["initContainers"] + pod["containers"] if c["name"] == name)


def flags(pod, name="install"):
    return container(pod, name)["command"][2:]


def volume(pod, name):
    return next((v for v in pod["volumes"] if v["name"] == name), None)


def mount(pod, name, into="install"):
    mounts = container(pod, into)["volumeMounts"]
    return next((m for m in mounts if m["name"] == name), None)


def added(pod, name="install"):
    return container(pod, name)["securityContext"].get("capabilities", {}).get("add")


class TestFiles:
    def test_each_has_a_volume_of_one_key_that_nobody_else_can_read(self):
        pod = pod_of(install=FILES)
        assert volume(pod, "file-0") is None
        item = {"defaultMode": 0o400, "items": [{"key": "nfs.conf", "path": "content"}]}
        assert volume(pod, "file-1") == {"name": "file-1", "configMap": {"name": "nfs"} | item}
        assert volume(pod, "file-2") == {
            "name": "file-2",
            "secret": {
                "secretName": "nfs.v1",
                "defaultMode": 0o400,
                "items": [{"key": "..k", "path": "content"}],
            },
        }

    def test_only_install_sees_them_and_cannot_write_them(self):
        pod = pod_of(install=FILES)
        for number in (1, 2):
            assert mount(pod, f"file-{number}") == {
                "name": f"file-{number}",
                "mountPath": f"/flexvolume-files/{number}",
                "readOnly": True,
            }
            assert mount(pod, f"file-{number}", "guard") is None

    def test_install_is_told_mode_name_and_place_and_never_the_content(self):
        assert [f for f in flags(pod_of(install=FILES)) if f.startswith("--file=")] == [
            "--file=0755,jq,/usr/bin/jq",
            "--file=0755,nfs.conf,/flexvolume-files/1/content",
            "--file=0400,key,/flexvolume-files/2/content",
        ]

    def test_a_dollar_in_a_path_reaches_the_node_as_it_is(self):
        file = {"path": "a", "image": {"path": "/$(FLEXVOLUME_POD_UID)"}}
        assert "--file=0755,a,/$$(FLEXVOLUME_POD_UID)" in flags(pod_of(install={"files": [file]}))


class TestEntrypoint:
    def test_the_image_runs_as_it_is_beside_the_guard(self):
        pod = pod_of(install=ENTRYPOINT)
        assert [c["name"] for c in pod["initContainers"]] == ["entrypoint", "install"]
        image = container(pod, "entrypoint")
        assert image["image"] == "registry.example/nfs:1"
        assert image["restartPolicy"] == "Always"
        assert {e["name"]: e["value"] for e in image["env"]} == {
            "VENDOR": "example.com",
            "DRIVER": "nfs",
        }
        assert not {"command", "args", "startupProbe"} & image.keys()

    def test_it_has_no_rights_but_those_of_its_user_on_an_empty_directory(self):
        pod = pod_of(install=ENTRYPOINT)
        image = container(pod, "entrypoint")
        assert image["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert image["volumeMounts"] == [{"name": "flexmnt", "mountPath": "/flexmnt"}]
        assert volume(pod, "flexmnt") == {"name": "flexmnt", "emptyDir": {}}
        assert "runAsUser" not in pod["securityContext"]

    def test_install_takes_what_appears_there(self):
        pod = pod_of(install=ENTRYPOINT)
        found = container(pod, "install")
        assert found["image"] == "registry.example/installer:1"
        assert found["command"][:2] == ["/installer", "install"]
        assert "--source=/flexmnt/example.com~nfs/nfs" in found["command"]
        assert "--settle=60s" in found["command"]
        assert mount(pod, "flexmnt") == {
            "name": "flexmnt",
            "mountPath": "/flexmnt",
            "readOnly": True,
        }
        assert container(pod, "guard")["image"] == "registry.example/installer:1"

    def test_its_resources_are_small_or_those_of_install(self):
        asked = {"limits": {"cpu": "1"}}
        by_user = pod_of(install=ENTRYPOINT, resources={"install": asked})
        assert container(by_user, "entrypoint")["resources"] == asked
        by_us = container(pod_of(install=ENTRYPOINT), "entrypoint")["resources"]
        assert by_us["requests"] == {"cpu": "1m", "memory": "8Mi"}


class TestAdoption:
    def test_only_who_may_replace_a_foreign_driver_waits_for_a_turn(self):
        pod = pod_of(adoptionPolicy="Always")
        assert {"--adoption-policy=Always", "--turn=/flexvolume-turn/adopt"} <= set(flags(pod))
        (item,) = volume(pod, "turn")["downwardAPI"]["items"]
        assert item == {
            "path": "adopt",
            "fieldRef": {"fieldPath": "metadata.annotations['flexvolume.io/adopt']"},
        }
        assert mount(pod, "turn")["mountPath"] == "/flexvolume-turn"
        for policy in ("IfIdentical", "Never"):
            other = pod_of(adoptionPolicy=policy)
            assert f"--adoption-policy={policy}" in flags(other)
            assert volume(other, "turn") is None
            assert not [f for f in flags(other) if f.startswith("--turn")]


class TestVerification:
    def test_a_dry_run_publishes_nothing_and_guards_nothing(self):
        pod = pod_of(dryRun=True)
        assert "--dry-run" in flags(pod)
        assert "--idle" in flags(pod, "guard")
        assert "--dry-run" not in flags(pod_of())
        assert "--idle" not in flags(pod_of(), "guard")

    def test_requirements_are_looked_for_by_install(self):
        needs = {"commands": ["jq", "a$(b)"], "kernelModules": ["nfs"], "paths": ["/run/a b"]}
        told = flags(pod_of(requirements=needs))
        assert [f for f in told if f.startswith("--require-")] == [
            "--require-command=jq",
            "--require-command=a$$(b)",
            "--require-module=nfs",
            "--require-path=/run/a b",
        ]

    @pytest.mark.parametrize("policy", ["Enforce", "Warn"])
    def test_what_is_run_is_run_in_the_root_of_the_node(self, policy):
        pod = pod_of(verify={"policy": policy})
        assert f"--verify={policy}" in flags(pod)
        assert volume(pod, "host") == {"name": "host", "hostPath": {"path": "/"}}
        assert added(pod) == ["SYS_CHROOT", "DAC_OVERRIDE", "FOWNER"]

    def test_where_nothing_is_run_nothing_can_change_its_root(self):
        pod = pod_of(verify=SKIP)
        assert volume(pod, "host") is None
        assert added(pod) == ["DAC_OVERRIDE", "FOWNER"]

    def test_an_init_that_needs_more_is_run_in_a_privileged_container(self):
        plain, more = pod_of(), pod_of(verify={"context": "HostPrivileged"})
        context = container(more, "install")["securityContext"]
        assert context["privileged"] is True
        assert "allowPrivilegeEscalation" not in context
        container(more, "install")["securityContext"] = container(plain, "install")[
            "securityContext"
        ]
        assert more == plain

    def test_nothing_is_privileged_that_runs_nothing(self):
        pod = pod_of(verify=SKIP | {"context": "HostPrivileged"})
        assert pod == pod_of(verify=SKIP)


def test_pods_are_for_the_architectures_of_the_driver():
    def terms(affinity):
        return affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]

    built_for = {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]}
    found = terms(pod_of(requirements={"architectures": ["arm64", "amd64"]})["affinity"])
    assert found
    assert all(built_for in term["matchExpressions"] for term in found)
    gate = [[{"key": "a", "operator": "Exists"}], [{"key": "b", "operator": "Exists"}]]
    both = terms(on_machines(Affinity(), gate, ["amd64", "arm64"]))
    assert len(both) == 2
    assert all(built_for in term["matchExpressions"] for term in both)
    assert "kubernetes.io/arch" not in str(pod_of())


class TestRevision:
    CONFIG_MAP, SECRET = (
        Reference("ConfigMap", "nfs", "nfs.conf"),
        Reference("Secret", "nfs.v1", "..k"),
    )

    def revision(self, *files, contents=None, **install):
        spec = flexdriver(install={"files": list(files)} | install).spec
        return revision(spec, contents or {})

    def test_it_covers_every_file_and_what_is_in_it(self):
        known = [
            self.revision(),
            self.revision(method="Entrypoint"),
            self.revision(FROM_IMAGE),
            self.revision(FROM_IMAGE | {"path": "jq2"}),
            self.revision(FROM_IMAGE | {"mode": "0700"}),
            self.revision(FROM_IMAGE | {"image": {"path": "/bin/jq"}}),
            self.revision(FROM_CONFIG_MAP),
            self.revision(FROM_CONFIG_MAP, contents={self.CONFIG_MAP: "a"}),
            self.revision(FROM_CONFIG_MAP, contents={self.CONFIG_MAP: "b"}),
            self.revision(FROM_SECRET, contents={self.SECRET: "a"}),
        ]
        assert len(set(known)) == len(known)

    def test_writing_out_a_default_changes_nothing(self):
        assert self.revision(FROM_IMAGE | {"mode": "0755"}) == self.revision(FROM_IMAGE)

    def test_the_content_of_an_object_changes_nothing_but_the_revision(self):
        first = rendered({self.SECRET: "a"}, install=FILES)
        second = rendered({self.SECRET: "b"}, install=FILES)
        assert first.revision != second.revision
        text = str(second.manifest).replace(second.revision, first.revision)
        text = text.replace(second.template_hash, first.template_hash)
        assert text.replace(second.template, first.template) == str(first.manifest)

    @pytest.mark.parametrize(
        "spec",
        [
            {"dryRun": True},
            {"adoptionPolicy": "Always"},
            {"verify": {"policy": "Warn"}},
            {"verify": {"context": "HostPrivileged"}},
            {"requirements": {"commands": ["jq"]}},
            {"requirements": {"architectures": ["amd64"]}},
        ],
        ids=str,
    )
    def test_how_it_gets_there_is_another_template_of_the_same_revision(self, spec):
        before, after = rendered(), rendered(**spec)
        assert after.revision == before.revision
        assert after.template != before.template
