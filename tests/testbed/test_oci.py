import io
import json
import tarfile

from testbed.oci import File, Image, Link

IMAGE = Image(
    {"/driver": File(b"#!/bin/sh\n", 0o555, uid=7), "/bin/sh": Link("busybox")},
    {"User": "1000", "Env": ["A=b"], "WorkingDir": "/nowhere", "Entrypoint": ["/driver"]},
)


def blobs(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        opened = {entry.name: tar.extractfile(entry) for entry in tar if entry.isreg()}
        return {name: file.read() for name, file in opened.items() if file}


def blob(files: dict[str, bytes], descriptor: dict[str, str]) -> bytes:
    return files["blobs/" + descriptor["digest"].replace(":", "/")]


def test_the_same_image_has_the_same_bytes():
    assert IMAGE.archive("localhost/x:1") == IMAGE.archive("localhost/x:1")
    assert IMAGE.archive("localhost/x:1") != IMAGE.archive("localhost/x:2")


def test_an_archive_leads_from_its_name_to_files_and_config():
    files = blobs(IMAGE.archive("localhost/x:1"))
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "localhost/x:1"
    manifest = json.loads(blob(files, entry))
    assert json.loads(blob(files, manifest["config"]))["config"] == IMAGE.config
    with tarfile.open(fileobj=io.BytesIO(blob(files, manifest["layers"][0]))) as layer:
        assert layer.getnames() == ["bin", "bin/sh", "driver"]
        driver, shell = layer.getmember("driver"), layer.getmember("bin/sh")
        assert (driver.mode, driver.uid) == (0o555, 7)
        assert shell.linkname == "busybox"
