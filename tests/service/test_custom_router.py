"""The operator's own function that chooses a model: whatever it does, requests go on."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.policy import Policy, Tier
from scalix.service.policy_source import PolicySource
from scalix.service.routing.custom_router import CustomRouter
from scalix.service.routing.custom_routers import CustomRouters, messages_of
from scalix.service.routing.hook_threads import THREADS

MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "canary-prompt"}]}]
QUICKLY_S, LONG_S = 0.05, 5.0


class Hanging:
    """A function that waits until it may go on."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.all_called = threading.Event()  # in all threads that there may be
        self.calls = 0

    def __call__(self, user_id: str, model: str, messages: list[Any]) -> str:
        self.calls += 1
        if self.calls == THREADS:
            self.all_called.set()
        self.may_go_on.wait(30)
        return "m"


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.may_go_on.set()


def threads_of(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"custom-router {name}"]


async def test_it_is_told_user_model_and_messages_and_can_change_nothing() -> None:
    told = []

    def hook(user_id: str, model: str, messages: list[Any]) -> str:
        told.append((user_id, model, [dict(one) for one in messages]))
        messages[0]["content"][0]["text"] = "changed"
        return "free-a"

    router = CustomRouter("m:f", hook, LONG_S)
    sent = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert await router.answer("ann", "auto", sent) == "free-a"
    assert told[0][:2] == ("ann", "auto")
    assert sent[0]["content"] == [{"type": "text", "text": "hi"}]
    router.close()


async def test_three_that_hang_in_a_row_switch_it_off_and_keep_no_more_threads(
    hanging: Hanging, caplog: pytest.LogCaptureFixture
) -> None:
    router = CustomRouter("hangs:f", hanging, QUICKLY_S)
    for tried in range(1, 4):
        assert not router.is_off
        assert await router.answer("ann", "auto", MESSAGES) is None
        assert router.overruns == tried
    assert router.is_off
    for _ in range(50):
        assert await router.answer("ann", "auto", MESSAGES) is None
    assert hanging.calls == 3
    assert len(threads_of("hangs:f")) <= THREADS
    alarms = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert ["custom_router hangs:f is off" in one.getMessage() for one in alarms] == [True]


async def test_many_at_once_take_no_more_threads_than_there_are(hanging: Hanging) -> None:
    router = CustomRouter("crowd:f", hanging, QUICKLY_S)
    answers = await asyncio.gather(*(router.answer("ann", "auto", MESSAGES) for _ in range(200)))
    assert answers == [None] * 200
    assert hanging.calls <= THREADS
    assert router.is_off
    hanging.may_go_on.set()
    for thread in threads_of("crowd:f"):
        await asyncio.to_thread(thread.join, 10)
    assert not threads_of("crowd:f")


async def test_where_every_thread_is_kept_it_is_off_though_answers_came_between(hanging: Hanging) -> None:
    turns = iter([True, False] * 10)
    router = CustomRouter("half:f", lambda *told: hanging(*told) if next(turns) else "m", QUICKLY_S)
    while not router.is_off and router.overruns < 20:
        await router.answer("ann", "auto", MESSAGES)
    assert router.is_off
    assert hanging.calls == THREADS


async def test_one_that_computes_for_ever_is_stopped() -> None:
    def spin(*_: Any) -> None:
        while True:
            sum(range(100))

    router = CustomRouter("spins:f", spin, QUICKLY_S)
    while not router.is_off:
        await router.answer("ann", "auto", MESSAGES)
    for thread in threads_of("spins:f"):
        await asyncio.to_thread(thread.join, 20)
    assert not threads_of("spins:f")


async def test_failures_count_and_the_log_has_their_place_without_the_prompt(caplog: pytest.LogCaptureFixture) -> None:
    def fails(user_id: str, model: str, messages: list[Any]) -> str:
        raise ValueError(str(messages))

    router = CustomRouter("fails:f", fails, LONG_S)
    for _ in range(3):
        assert await router.answer("canary-user", "auto", MESSAGES) is None
    assert router.is_off
    assert "ValueError at" in caplog.text
    assert "test_custom_router.py" in caplog.text
    assert "canary" not in caplog.text


async def test_an_answer_between_failures_begins_the_row_anew() -> None:
    answers = iter([0, 0, 1, 0, 0, 1])
    router = CustomRouter("m:f", lambda *_: 1 // next(answers), LONG_S)
    told = [await router.answer("ann", "auto", MESSAGES) for _ in range(6)]
    assert told == [None, None, 1, None, None, 1]
    assert (router.is_off, router.overruns) == (False, 4)
    router.close()


async def test_a_client_that_leaves_is_no_overrun_and_the_thread_comes_back(hanging: Hanging) -> None:
    router = CustomRouter("left:f", hanging, LONG_S)
    asking = [asyncio.ensure_future(router.answer("ann", "auto", MESSAGES)) for _ in range(THREADS)]
    await asyncio.to_thread(hanging.all_called.wait, 10)
    for one in asking:
        one.cancel()
    assert all(isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*asking, return_exceptions=True))
    hanging.may_go_on.set()
    assert await router.answer("ann", "auto", MESSAGES) == "m"
    assert router.overruns == 0
    router.close()


async def test_messages_of_too_many_parts_switch_nothing_off() -> None:
    router = CustomRouter("m:f", lambda *_: "m", LONG_S)
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    for messages in [[{}] * 20_001, deep] * 2:
        assert await router.answer("ann", "auto", messages) is None
    assert (router.is_off, router.overruns) == (False, 0)
    assert await router.answer("ann", "auto", MESSAGES) == "m"
    router.close()


def test_messages_are_found_on_every_route() -> None:
    text = [{"role": "user", "content": "hi"}]
    assert messages_of({"messages": MESSAGES}) == MESSAGES
    assert [messages_of({name: "hi"}) for name in ("input", "prompt")] == [text, text]
    assert messages_of({"input": MESSAGES}) == MESSAGES
    assert messages_of({}) == []


async def test_new_code_is_taken_and_what_was_off_is_on_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "routing_under_test.py"
    module.write_text("def choose(user_id, model, messages):\n    raise RuntimeError\n", encoding="utf-8")
    policy = PolicySource(Policy({"t": Tier("t")}, "t", custom_routers={"auto": "routing_under_test:choose"}))
    routers = CustomRouters(policy, str(tmp_path))
    routers.load()
    router = routers.named_by("auto")
    assert router is not None
    for _ in range(3):
        await router.answer("ann", "auto", MESSAGES)
    assert [(one.name, one.overruns, one.is_off) for one in routers.states()] == [
        ("routing_under_test:choose", 3, True)
    ]
    module.write_text("def choose(user_id, model, messages):\n    return 'of the new code'\n", encoding="utf-8")
    await asyncio.to_thread(routers.load)
    renewed = routers.named_by("auto")
    assert renewed is not None
    assert await renewed.answer("ann", "auto", MESSAGES) == "of the new code"
    module.unlink()
    await asyncio.to_thread(routers.load)
    assert routers.named_by("auto") is None
    assert [one.is_off for one in routers.states()] == [True]
    assert "run --reload" in caplog.text
    assert routers.named_by("fast") is None
