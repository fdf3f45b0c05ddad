"""Whom the operator asks when, and what it believes meanwhile."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from flexvolume_operator.directories import inquiry as module
from flexvolume_operator.directories.inquiry import Inquiry
from flexvolume_operator.directories.resolve import Opinions
from flexvolume_operator.model.directory import Asked, NodeDirectory, Observed, Seen
from flexvolume_operator.model.names import LABEL_PLUGIN_DIR, directory_label
from flexvolume_operator.model.objects import Node

NODE = Node("n1", uid="u1", ready=True, boot_id="b1", address="10.0.0.1")
ANSWER = Asked("/asked", "Verified")
REFUSAL = Asked(reason="Forbidden", message="403")
SILENCE = Asked(reason="Unreachable", message="no route")
OBSERVED = Observed("b1", "", "10.0.0.1")


class Scene:
    """An inquiry whose kubelets answer what a test says."""

    def __init__(self, *, asks=True):
        self.nodes = {"n1": NODE}
        self.answer = ANSWER
        self.asked = []
        self.changed: list[str] = []
        self.opened: list[str] = []
        ask = self.ask if asks else None
        self.inquiry = Inquiry(
            self.nodes, Opinions(flag="/flag"), ask, self.opened.append, self.changed.append
        )

    async def ask(self, node):
        self.asked.append(node.boot_id)
        return self.answer

    def of(self):
        return self.inquiry.of(self.nodes["n1"])

    def now(self, **fields):
        self.nodes["n1"] = replace(self.nodes["n1"], **fields)
        self.inquiry.node_changed("n1")

    def is_released(self):
        return self.inquiry.is_released(self.nodes["n1"])

    def due(self):
        """Seconds until the node is asked again."""
        return self.inquiry._questions._due["n1"] - time.monotonic()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
async def scene():
    found = Scene()
    task = asyncio.create_task(found.inquiry.run())
    yield found
    task.cancel()


async def test_a_node_is_asked_once_it_is_wanted_and_then_known(scene):
    assert scene.of() == NodeDirectory()
    await until(lambda: scene.of().path)
    assert (scene.of().path, scene.of().source) == ("/asked", "Kubelet")
    assert scene.of().observed == OBSERVED
    assert (scene.asked, scene.changed) == (["b1"], ["n1"])
    assert scene.due() > 60000


async def test_a_refusal_gives_way_to_the_next_source_at_once_with_its_reason(scene):
    scene.answer = REFUSAL
    scene.of()
    await until(lambda: scene.of().path)
    assert (scene.of().path, scene.of().source) == ("/flag", "Flag")
    assert scene.of().kubelet == REFUSAL
    assert 400 < scene.due() < 800


async def test_a_kubelet_that_does_not_answer_has_half_a_minute(scene, monkeypatch):
    scene.answer = SILENCE
    scene.of()
    await until(lambda: scene.asked)
    assert scene.of().path == ""
    assert 0.5 < scene.due() < 1.5
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    scene.inquiry._questions.add("n1")
    await until(lambda: scene.of().path)
    assert (scene.of().source, scene.of().kubelet) == ("Flag", SILENCE)
    assert 40 < scene.due() < 80


async def test_an_answer_is_never_replaced_by_a_failure(scene):
    scene.of()
    await until(lambda: scene.of().path)
    scene.answer = REFUSAL
    scene.now(boot_id="b2")
    await until(lambda: len(scene.asked) == 2)
    await until(lambda: scene.of().kubelet.reason)
    assert (scene.of().path, scene.of().source) == ("/asked", "Kubelet")
    assert scene.of().observed == OBSERVED, "so that the next process asks again"


@pytest.mark.parametrize(
    "fields", [{"boot_id": "b2"}, {"kubelet_version": "v1.37.0"}, {"address": "10.0.0.2"}]
)
async def test_another_boot_version_or_address_is_asked_again(scene, fields):
    scene.of()
    await until(lambda: scene.of().path)
    scene.answer = Asked("/other", "Verified")
    scene.now(**fields)
    assert scene.of().path == "/asked", "which is believed until there is another answer"
    await until(lambda: scene.of().path == "/other")


async def test_a_kubelet_that_has_started_anew_is_asked_again(scene):
    scene.of()
    await until(lambda: scene.of().path)
    scene.answer = Asked("/other", "Verified")
    scene.inquiry.restarted("n1")
    assert 0.5 < scene.due() < 1.5
    scene.inquiry.restarted("stranger")
    await until(lambda: scene.of().path == "/other")


async def test_what_does_not_matter_asks_nobody(scene):
    scene.of()
    await until(lambda: scene.of().path)
    scene.now(labels={"some": "label"})
    scene.now(os_image="other")
    assert scene.due() > 60000
    assert scene.changed == ["n1"]


async def test_a_silent_node_is_not_asked_before_it_is_heard_of(scene):
    scene.nodes["n1"] = replace(NODE, ready=False, silent=True)
    scene.of()
    await scene.inquiry._questions.idle()
    assert scene.asked == []
    scene.now(silent=False, ready=True)
    assert 0.5 < scene.due() < 1.5


async def test_a_new_process_asks_nobody_that_was_asked(scene):
    known = NodeDirectory("/asked", "Kubelet", OBSERVED, ANSWER)
    scene.inquiry.load("n1", "u1", known)
    assert scene.of() == known
    assert 3600 <= scene.due() + 1 <= 86401
    await scene.inquiry._questions.idle()
    assert scene.asked == []


async def test_a_new_process_asks_who_has_rebooted_since_and_believes_the_old_answer(scene):
    scene.inquiry.load("n1", "u1", NodeDirectory("/old", "Kubelet", Observed("b0"), Asked("/old")))
    assert scene.of().path == "/old"
    await until(lambda: scene.of().path == "/asked")


async def test_what_is_remembered_holds_before_the_node_is_taken_up(scene):
    known = NodeDirectory("/asked", "Kubelet", OBSERVED, ANSWER)
    scene.inquiry.load("n1", "u1", known)
    assert scene.inquiry.known("n1") == known
    scene.inquiry.release("n1")
    assert scene.inquiry.known("n1") is None


async def test_what_is_remembered_of_another_node_is_not_believed(scene):
    scene.inquiry.load("n1", "u0", NodeDirectory("/old", "Kubelet", OBSERVED, Asked("/old")))
    assert scene.of().path == ""


async def test_a_node_made_anew_is_unknown_unless_it_is_a_copy(scene):
    scene.of()
    await until(lambda: scene.of().path)
    scene.now(uid="u2")
    assert scene.of().path == ""
    await until(lambda: scene.of().path)
    del scene.nodes["n1"]
    scene.inquiry.node_changed("n1")
    scene.nodes["n1"] = replace(
        NODE, uid="u3", labels={LABEL_PLUGIN_DIR: directory_label("/asked")}
    )
    scene.inquiry.node_changed("n1")
    assert scene.of().path == "/asked"
    await until(lambda: len(scene.asked) == 3)


async def test_the_process_confirms_what_was_guessed_and_corrects_it(scene):
    scene.answer = REFUSAL
    scene.of()
    await until(lambda: scene.of().path)
    assert scene.of().guessed
    scene.inquiry.heard("n1", "b1", Seen("/flag", "the default"), 10.0)
    assert (scene.of().source, scene.of().guessed) == ("KubeletProcess", False)
    scene.inquiry.heard("n1", "b1", Seen("/seen", "--volume-plugin-dir"), 20.0)
    assert scene.of().path == "/seen"
    scene.inquiry.heard("n1", "b1", Seen("/older", "--volume-plugin-dir"), 5.0)
    scene.inquiry.heard("n1", "b0", Seen("/boot", "--volume-plugin-dir"), 30.0)
    assert scene.of().path == "/seen"


async def test_a_process_that_contradicts_the_answer_has_it_asked_for_again(scene):
    scene.of()
    await until(lambda: scene.of().path)
    scene.answer = Asked("/seen", "Verified")
    scene.inquiry.heard("n1", "b1", Seen("/seen"), time.time() + 1)
    assert scene.of().path == "", "neither is believed"
    await until(lambda: scene.of().path)
    assert (scene.of().path, scene.of().source) == ("/seen", "Kubelet")


async def test_a_process_that_contradicts_a_kubelet_that_refuses_now_is_believed(scene):
    scene.of()
    await until(lambda: scene.of().path)
    scene.answer = REFUSAL
    scene.inquiry.heard("n1", "b1", Seen("/seen"), time.time() + 1)
    await until(lambda: scene.of().path)
    assert (scene.of().path, scene.of().source) == ("/seen", "KubeletProcess")


async def test_a_process_that_the_kubelet_denies_is_not_asked_about_again_and_again(scene):
    scene.of()
    await until(lambda: scene.of().path)
    scene.inquiry.heard("n1", "b1", Seen("/seen"), time.time() + 1)
    await until(lambda: len(scene.asked) == 2)
    await until(lambda: scene.of().path == "/asked")
    scene.inquiry.heard("n1", "b1", Seen("/seen"), time.time() + 2)
    assert scene.of().path == "/asked"
    scene.inquiry.heard("n1", "b1", Seen("/third"), time.time() + 3)
    assert scene.of().path == ""


async def test_what_a_process_said_before_the_answer_is_no_contradiction(scene):
    scene.of()
    await until(lambda: scene.of().path)
    scene.inquiry.heard("n1", "b1", Seen("/seen"), time.time() - 1000)
    assert scene.of().path == "/asked"


async def test_nodes_that_no_driver_wants_any_more_are_let_go(scene):
    scene.of()
    await until(lambda: scene.of().path)
    assert not scene.is_released()
    scene.inquiry.release("n1")
    assert scene.inquiry.known("n1") is None
    assert scene.is_released()
    scene.of()
    assert not scene.is_released()


async def test_a_node_made_anew_is_not_let_go_because_drivers_left_the_one_before(scene):
    """Else its labels would be taken away, and its pods with them, until somebody wants it."""
    scene.of()
    await until(lambda: scene.of().path)
    before = scene.nodes.pop("n1")
    scene.inquiry.node_changed("n1")
    scene.inquiry.release("n1")
    scene.nodes["n1"] = before
    scene.now(uid="u2")
    assert not scene.is_released()

    scene.inquiry.release("n1")
    assert scene.is_released()
    scene.now(uid="u3")
    assert not scene.is_released()


def test_without_leave_to_ask_the_next_source_is_taken_at_once():
    found = Scene(asks=False)
    assert (found.of().path, found.of().source) == ("/flag", "Flag")
    assert (found.opened, found.changed) == (["n1"], [])
