"""Fingerprints of what ConfigMaps and Secrets hold: when they change, and what they give away."""

import asyncio
import base64
import hashlib
import json

import pytest

from flexvolume_operator.cluster.client import ApiError
from flexvolume_operator.cluster.sources import SourceMissing, Sources
from flexvolume_operator.model.install import Reference

SPACE = "/api/v1/namespaces/installers"
KEY = f"{SPACE}/secrets/flexvolume-operator-key"
CONF = Reference("ConfigMap", "nfs", "nfs.conf")
PASSWORD = Reference("Secret", "nfs", "password")
FIELDS = {"a.configMapKeyRef": CONF, "b.secretKeyRef": PASSWORD}


def coded(text):
    return base64.b64encode(text).decode()


class Api:
    """As much of an API server as is asked of it; `said` are the paths of single objects read."""

    def __init__(self):
        self.objects, self.version, self.said, self.created = {}, 0, [], []
        self.lines, self.watched, self.refused = {}, [], {}

    def put(self, kind, name, **content):
        self.version += 1
        path = f"{SPACE}/{kind}/{name}"
        known = "MODIFIED" if path in self.objects else "ADDED"
        meta = {"name": name, "resourceVersion": str(self.version)}
        self.objects[path] = {"metadata": meta} | content
        self._tell(kind, known, meta)

    def drop(self, kind, name):
        self.version += 1
        meta = self.objects.pop(f"{SPACE}/{kind}/{name}")["metadata"]
        self._tell(kind, "DELETED", meta)

    def _tell(self, kind, what, meta):
        line = json.dumps({"type": what, "object": {"metadata": meta}}).encode()
        for queue in self.lines.get(f"{SPACE}/{kind}", ()):
            queue.put_nowait(line)

    async def get(self, path, *, accept="", **_query):
        if path in self.refused:
            raise ApiError(self.refused[path], "Forbidden", "no right")
        if path.count("/") == SPACE.count("/") + 1:
            assert "PartialObjectMetadataList" in accept
            metas = [o["metadata"] for p, o in self.objects.items() if p.startswith(f"{path}/")]
            items = [{"metadata": meta} for meta in metas]
            return json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()
        self.said.append(path)
        if path not in self.objects:
            raise ApiError(404, "NotFound", "not found")
        return json.dumps(self.objects[path]).encode()

    async def get_object(self, path):
        return self.objects.get(path)

    async def create(self, path, body, *, manager):
        name = body["metadata"]["name"]
        self.created.append((path, body))
        if f"{path}/{name}" in self.objects:
            raise ApiError(409, "AlreadyExists", "there is one")
        self.objects[f"{path}/{name}"] = body
        return body

    async def watch(self, path, *, accept="", **_query):
        assert accept.startswith("application/json;as=PartialObjectMetadata;")
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.lines.setdefault(path, []).append(queue)
        self.watched.append(path)
        while True:
            yield await queue.get()


class Bench:
    def __init__(self, api):
        self.api = api
        self.woken: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.sources = Sources(api, "installers", self.woken.append, self._spawn)

    def _spawn(self, work):
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]

    async def read(self, fields=None, driver="nfs"):
        return await self.sources.read(driver, FIELDS if fields is None else fields)

    async def missing(self, fields=None):
        with pytest.raises(SourceMissing) as caught:
            await self.read(fields)
        return str(caught.value)

    async def told(self):
        """What was put is seen."""
        seen = len(self.woken)
        async with asyncio.timeout(5):
            while len(self.woken) == seen:
                await asyncio.sleep(0)


@pytest.fixture
def api():
    found = Api()
    found.put("configmaps", "nfs", data={"nfs.conf": "a=1"}, binaryData={"blob": coded(b"\xff")})
    found.put("secrets", "nfs", data={"password": coded(b"hunter2")})
    return found


@pytest.fixture
async def bench(api):
    found = Bench(api)
    yield found
    for task in found.tasks:
        task.cancel()
    await asyncio.gather(*found.tasks, return_exceptions=True)


async def test_a_fingerprint_is_of_the_content_and_of_our_key(bench, api):
    first = await bench.read()
    assert first.keys() == {CONF, PASSWORD}
    assert first[PASSWORD] != hashlib.sha256(b"hunter2").hexdigest()
    again = Bench(api)
    try:
        assert await again.read() == first
        del api.objects[KEY]
        other = Bench(api)
        assert (await other.read())[PASSWORD] != first[PASSWORD]
    finally:
        for task in again.tasks + other.tasks:
            task.cancel()


async def test_the_key_is_made_once_of_32_random_bytes_that_nobody_can_change(bench, api):
    await bench.read()
    await bench.read({"a": Reference("ConfigMap", "nfs", "blob")})
    ((path, body),) = api.created
    assert path == f"{SPACE}/secrets"
    assert body["immutable"] is True
    assert len(base64.b64decode(body["data"]["key"])) == 32


async def test_of_two_operators_the_one_that_comes_second_takes_the_others_key(bench, api):
    theirs = {"metadata": {"name": "flexvolume-operator-key"}, "data": {"key": coded(b"k" * 32)}}
    real = api.get_object

    async def late(path):
        api.get_object = real
        api.objects[KEY] = theirs

    api.get_object = late
    found = await bench.read()
    assert api.objects[KEY] is theirs
    assert bench.sources._key == b"k" * 32
    assert found


async def test_a_key_that_is_none_is_left_alone_and_told(bench, api):
    api.objects[KEY] = {"data": {"key": coded(b"short")}}
    assert "Secret installers/flexvolume-operator-key has no 32 bytes" in await bench.missing()
    assert api.objects[KEY] == {"data": {"key": coded(b"short")}}


async def test_nothing_is_read_again_before_it_changes(bench, api):
    first = await bench.read()
    assert len(api.said) == 2
    assert await bench.read() == first
    assert len(api.said) == 2
    api.put("secrets", "nfs", data={"password": coded(b"hunter3")})
    await bench.told()
    second = await bench.read()
    assert (second[CONF], len(api.said)) == (first[CONF], 3)
    assert second[PASSWORD] != first[PASSWORD]


async def test_only_who_names_it_is_told_of_a_change(bench, api):
    await bench.read()
    bench.woken.clear()
    api.put("secrets", "pull", data={})
    api.put("configmaps", "nfs", data={"nfs.conf": "a=2"})
    await bench.told()
    assert bench.woken == ["nfs"]


async def test_what_is_missing_is_named_and_comes_by_itself(bench, api):
    field = "spec.install.files[1].configMapKeyRef"
    other = {field: Reference("ConfigMap", "nfs", "other.conf")}
    assert await bench.missing(other) == f"{field}: ConfigMap installers/nfs has no key other.conf"
    gone = {field: Reference("ConfigMap", "gone", "x")}
    assert await bench.missing(gone) == f"{field}: ConfigMap installers/gone does not exist"
    bench.woken.clear()
    api.put("configmaps", "gone", data={"x": "1"})
    await bench.told()
    assert await bench.read(gone)
    api.drop("configmaps", "gone")
    await bench.told()
    assert "does not exist" in await bench.missing(gone)


async def test_what_cannot_be_read_is_told_and_tried_again(bench, api):
    api.refused[f"{SPACE}/secrets/nfs"] = 403
    with pytest.raises(SourceMissing, match="cannot be read: no right") as caught:
        await bench.read()
    assert caught.value.again
    assert "hunter2" not in str(caught.value)


async def test_nothing_is_watched_that_nobody_names(bench, api):
    assert await bench.read({}) == {}
    assert bench.tasks == []
    await bench.read({"a": PASSWORD})
    assert len(bench.tasks) == 1
    await bench.read({"a": PASSWORD}, "san")
    bench.sources.forget("nfs")
    assert not bench.tasks[0].cancelling()
    bench.sources.forget("san")
    await asyncio.gather(*bench.tasks, return_exceptions=True)
    assert bench.tasks[0].cancelled()
    assert bench.sources._known == {}
    assert bench.sources.silence() == 0.0
