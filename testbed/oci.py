"""OCI image archives from a few files, without any builder: same input, same bytes."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

GZIP_LEVEL = 1
TYPE = "application/vnd.oci.image"


@dataclass(frozen=True)
class File:
    """A file of an image. `mode` is the permission bits; `uid` owns it."""

    content: bytes
    mode: int = 0o755
    uid: int = 0


@dataclass(frozen=True)
class Link:
    """A symbolic link of an image."""

    target: str


@dataclass(frozen=True)
class Image:
    """An image of one layer: absolute path -> File or Link, and what OCI calls its config.

    `config` keys are OCI's: User, Env, WorkingDir, Entrypoint, Cmd.
    """

    files: Mapping[str, File | Link]
    config: Mapping[str, object] = field(default_factory=dict)
    architecture: str = "amd64"

    def archive(self, reference: str) -> bytes:
        """An OCI archive that carries the image under its full name, such as localhost/x:dev."""
        layer = self._layer()
        packed = gzip.compress(layer, GZIP_LEVEL, mtime=0)
        config = {
            "architecture": self.architecture,
            "os": "linux",
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            "history": [{"created_by": "testbed"}],  # buildah wants an entry for each layer
        }
        blobs = [packed, _json(config)]
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{TYPE}.manifest.v1+json",
            "config": _descriptor(f"{TYPE}.config.v1+json", blobs[1]),
            "layers": [_descriptor(f"{TYPE}.layer.v1.tar+gzip", packed)],
        }
        blobs.append(_json(manifest))
        entry = _descriptor(f"{TYPE}.manifest.v1+json", blobs[2]) | {
            "platform": {"architecture": self.architecture, "os": "linux"},
            "annotations": {
                "io.containerd.image.name": reference,
                "org.opencontainers.image.ref.name": reference,
            },
        }
        index = {"schemaVersion": 2, "mediaType": f"{TYPE}.index.v1+json", "manifests": [entry]}
        return _tar(
            {
                "oci-layout": File(_json({"imageLayoutVersion": "1.0.0"}), 0o644),
                "index.json": File(_json(index), 0o644),
                **{
                    f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": File(blob, 0o644)
                    for blob in blobs
                },
            }
        )

    def _layer(self) -> bytes:
        return _tar({path.lstrip("/"): file for path, file in self.files.items()})


def single_program(program: Path, name: str) -> Image:
    """An image with nothing but one static program, which it runs."""
    path = f"/{name}"
    return Image({path: File(program.read_bytes())}, {"Entrypoint": [path]})


def _tar(files: Mapping[str, File | Link]) -> bytes:
    folders = {str(parent) for path in files for parent in Path(path).parents if str(parent) != "."}
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folders | set(files)):
            entry = tarfile.TarInfo(path)
            if path in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
                continue
            file = files[path]
            if isinstance(file, Link):
                entry.type, entry.linkname = tarfile.SYMTYPE, file.target
                archive.addfile(entry)
                continue
            entry.size, entry.mode, entry.uid = len(file.content), file.mode, file.uid
            archive.addfile(entry, io.BytesIO(file.content))
    return output.getvalue()


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
