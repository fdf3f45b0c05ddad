"""Specs that the API server and `render -f FILE` judge alike: by the schema and by the model."""

from typing import Any

FROM_IMAGE = {"path": "jq", "image": {"path": "/usr/bin/jq"}}
FROM_CONFIG_MAP = {"path": "nfs.conf", "configMapKeyRef": {"name": "nfs", "key": "nfs.conf"}}
FROM_SECRET = {"path": "key", "mode": "0400", "secretKeyRef": {"name": "nfs.v1", "key": "..k"}}

_EXACTLY_ONE = "must have exactly one of image, configMapKeyRef and secretKeyRef"
_PLAIN = "must be a plain file name such as nfs.conf"
_OCTAL = "must be four octal digits, at most 0777"
_ONLY = "with verify.policy Skip, as"


def _file(**changes: Any) -> dict[str, Any]:
    """A spec with one file like FROM_IMAGE; None leaves a field out."""
    fields = {key: value for key, value in (FROM_IMAGE | changes).items() if value is not None}
    return {"install": {"files": [fields]}}


def _skip(**spec: Any) -> dict[str, Any]:
    return {"verify": {"policy": "Skip"}} | spec


GOOD: list[dict[str, Any]] = [
    {"install": {"files": [FROM_IMAGE, FROM_CONFIG_MAP, FROM_SECRET]}},
    {"install": {"method": "Entrypoint", "files": [FROM_CONFIG_MAP, FROM_SECRET]}},
    _file(path="a" * 253, mode="0000"),
    _file(path="_x-1.conf", mode="0777"),
    {"adoptionPolicy": "Always", "dryRun": True, "verify": {"policy": "Warn"}},
    {"verify": {"context": "HostPrivileged"}},
    {
        "requirements": {
            "commands": ["jq", "mount.nfs", "[", "ls+x"],
            "kernelModules": ["nfs", "dm_multipath", "8021q"],
            "paths": ["/run/multipathd.sock", "/with space"],
            "architectures": ["amd64", "arm64", "386"],
        }
    },
    _skip(adoptionPolicy="Never", requirements={"commands": [], "architectures": ["amd64"]}),
    _skip(install={"files": [FROM_IMAGE, FROM_SECRET]}, dryRun=False),
]

# What is wrong, the field that is named for it, and what is said to be right.
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"install": {"method": "Move"}}, "spec.install.method", "Entrypoint"),
    (
        {"install": {"method": "Entrypoint", "source": "/nfs"}},
        "spec.install.source",
        "must be left out with method Entrypoint",
    ),
    (
        {"install": {"method": "Entrypoint", "files": [FROM_IMAGE]}},
        "spec.install.files",
        "is a source for method Copy only",
    ),
    (_file(path=None), "spec.install.files[0].path", "equired"),
    (_file(path=""), "spec.install.files[0].path", _PLAIN),
    (_file(path="bin/jq"), "spec.install.files[0].path", _PLAIN),
    (_file(path=".hidden"), "spec.install.files[0].path", _PLAIN),
    (_file(path="-rf"), "spec.install.files[0].path", _PLAIN),
    (_file(path="nfs"), "spec.install.files", "must be another name than the driver's own"),
    ({"install": {"files": [FROM_IMAGE, FROM_IMAGE]}}, "spec.install.files[1]", ""),
    (_file(mode="755"), "spec.install.files[0].mode", _OCTAL),
    (_file(mode="4755"), "spec.install.files[0].mode", _OCTAL),
    (_file(mode="0788"), "spec.install.files[0].mode", _OCTAL),
    (_file(mode=493), "spec.install.files[0].mode", "string"),
    (_file(image=None), "spec.install.files[0]", _EXACTLY_ONE),
    (_file(secretKeyRef={"name": "a", "key": "b"}), "spec.install.files[0]", _EXACTLY_ONE),
    (_file(image={"path": "jq"}), "spec.install.files[0].image.path", "must be an absolute path"),
    (_file(image={"path": "/a\nb"}), "spec.install.files[0].image.path", "control characters"),
    (
        _file(image=None, configMapKeyRef={"name": "Nfs", "key": "a"}),
        "spec.install.files[0].configMapKeyRef.name",
        "in the installer namespace: lower-case letters, digits, '-' and '.'",
    ),
    (
        _file(image=None, secretKeyRef={"name": "nfs", "key": "a/b"}),
        "spec.install.files[0].secretKeyRef.key",
        "such as nfs.conf: letters, digits, '-', '_' and '.'",
    ),
    (
        _file(image=None, secretKeyRef={"name": "nfs"}),
        "spec.install.files[0].secretKeyRef.key",
        "equired",
    ),
    ({"adoptionPolicy": "Sometimes"}, "spec.adoptionPolicy", "IfIdentical"),
    ({"dryRun": "yes"}, "spec.dryRun", "boolean"),
    ({"verify": {"policy": "Maybe"}}, "spec.verify.policy", "Warn"),
    ({"verify": {"context": "Pod"}}, "spec.verify.context", "HostPrivileged"),
    (
        {"requirements": {"commands": ["/usr/bin/jq"]}},
        "spec.requirements.commands[0]",
        "such as mount.nfs, without '/' and spaces",
    ),
    ({"requirements": {"commands": [""]}}, "spec.requirements.commands[0]", "such as mount.nfs"),
    (
        {"requirements": {"kernelModules": ["nfs", "nfs.ko"]}},
        "spec.requirements.kernelModules[1]",
        "dm_multipath: letters, digits, '-' and '_'",
    ),
    (
        {"requirements": {"paths": ["etc/multipath.conf"]}},
        "spec.requirements.paths[0]",
        "of the node such as /etc/multipath.conf",
    ),
    ({"requirements": {"architectures": ["x86_64"]}}, "spec.requirements.architectures", "amd64"),
    (_skip(dryRun=True), "spec.dryRun", f"must be false {_ONLY}"),
    (_skip(adoptionPolicy="Always"), "spec.adoptionPolicy", f"IfIdentical or Never {_ONLY}"),
    (_skip(requirements={"commands": ["jq"]}), "spec.requirements.commands", _ONLY),
    (_skip(requirements={"kernelModules": ["a"]}), "spec.requirements.kernelModules", _ONLY),
    (_skip(requirements={"paths": ["/a"]}), "spec.requirements.paths", _ONLY),
]
