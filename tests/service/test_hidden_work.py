"""What a model can have generated out of sight of a client that has gone."""

import asyncio
from typing import Any, cast

import pytest

from scalix.domain.tokens.usage import Usage
from scalix.edge.clients import USAGE_WAIT_S, Client
from scalix.edge.stream_marks import shows_answer, shows_thought
from scalix.service.exchange.attempts import Attempt
from scalix.service.exchange.hidden_work import MOST_MODELS, UNKNOWN_TOKENS_PER_S, Silence, Speeds
from tests.exchanges import made_exchange


def _silence(*heard: float, thoughts: tuple[float, ...] = ()) -> Silence:
    silence = Silence(0.0)
    for at_s in sorted((*heard, *thoughts)):
        if at_s in thoughts:
            silence.thought()
        else:
            silence.heard(at_s)
    return silence


@pytest.mark.parametrize(
    ("heard", "thoughts", "now_s", "thinks", "seconds"),
    [
        ((), (), 7.0, None, 7.0),  # nothing of the answer yet
        ((), (), 0.5, None, 0.0),
        ((), (), 0.5, True, 0.5),
        ((), (), 7.0, False, 0.0),
        ((0.3, 0.6, 0.9), (), 1.0, None, 0.0),  # a text in full flow
        ((0.6, 0.9), (), 1.0, True, 0.6),  # thought before its first word
        ((5.0, 5.1), (), 5.2, None, 5.0),
        ((5.0, 5.1), (), 5.2, False, 0.0),
        ((0.1, 4.1), (), 4.2, None, 4.0),  # thought between two words
        ((0.1,), (), 4.1, None, 4.0),
        ((0.1, 0.9), (0.2, 0.4), 1.0, True, 0.9),  # summaries of thoughts are none of the answer
    ],
)
def test_the_time_in_which_nothing_of_the_answer_came_is_what_a_model_can_have_thought_in(
    heard: tuple[float, ...], thoughts: tuple[float, ...], now_s: float, thinks: bool | None, seconds: float
) -> None:
    assert _silence(*heard, thoughts=thoughts).seconds(now_s, thinks=thinks) == pytest.approx(seconds)


def test_a_models_speed_is_measured_on_whole_answers_and_no_client_can_make_it_look_slow() -> None:
    speeds = Speeds()
    assert speeds.of("m") == UNKNOWN_TOKENS_PER_S
    speeds.learn("m", Usage(1, 4_000), 10.0)
    assert speeds.of("m") == 400
    # Whoever does not read holds the answer up, and not the model.
    speeds.learn("m", Usage(1, 4_000), 1_000.0, held_up_s=990.0)
    speeds.learn("m", Usage(1, 3), 10.0)
    assert speeds.of("m") == 400
    assert not speeds.thinks("m")
    speeds.learn("m", Usage(1, 9, reasoning_tokens=5), 1.0)
    assert speeds.thinks("m")


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n',
        b'data: {"choices":[{"text":"x"}]}\n\n',
        b'data: {"choices":[{"delta":{"content":null,"tool_calls":[{"function":{"arguments":"{"}}]}}]}\n\n',
        b'data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{"}}\n\n',
        b'data: {"type":"response.output_text.delta","delta":"x"}\n\n',
        b'data: {"choices":[{"delta":{"audio":{"data":"AAAA"}}}]}\n\n',
    ],
)
def test_what_is_of_the_answer_is_known(event: bytes) -> None:
    assert shows_answer(event)
    assert not shows_thought(event)


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[{"delta":{"content":"","reasoning_content":"x"}}]}\n\n',
        b'data: {"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"x"}}\n\n',
        b'data: {"type":"response.reasoning_summary_text.delta","delta":"x"}\n\n',
    ],
)
def test_a_thought_is_none_of_the_answer(event: bytes) -> None:
    assert shows_thought(event)
    assert not shows_answer(event)


async def test_a_provider_is_read_on_for_its_usage_for_two_seconds_and_then_hung_up_on() -> None:
    # Given a stream that is over, whose usage does not come, and a clock of our own
    pauses: asyncio.Queue[float] = asyncio.Queue()
    up, hung_up = asyncio.Event(), asyncio.Event()

    async def pause(seconds: float) -> None:
        await pauses.put(seconds)
        await up.wait()

    async def hang_up() -> None:
        hung_up.set()

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def free() -> None:
        pass

    exchange = made_exchange(attempt=Attempt(finish_seen=True, hang_up=hang_up))
    client = Client(cast(Any, gone), exchange, free, pause=pause)
    async with client.watched():
        # When its client goes
        waited_s = await pauses.get()
        # Then it is left alone until the time is up
        assert (waited_s, exchange.client_left, hung_up.is_set()) == (USAGE_WAIT_S, True, False)
        up.set()
        await hung_up.wait()
    assert exchange.hung_up


def test_only_so_many_models_are_known_by_their_speed() -> None:
    speeds, usage = Speeds(), Usage(1, 100, reasoning_tokens=10)
    for number in range(MOST_MODELS + 10):
        speeds.learn(f"own/{number}", usage, 10.0)
    assert (speeds.of("own/1"), speeds.of(f"own/{MOST_MODELS + 1}")) == (10.0, UNKNOWN_TOKENS_PER_S)
    assert not speeds.thinks(f"own/{MOST_MODELS + 1}")
    speeds.learn("own/1", usage, 5.0)
    assert speeds.of("own/1") > 10.0
    short = Speeds()
    for number in range(MOST_MODELS + 10):
        short.learn(f"own/{number}", Usage(1, 1, reasoning_tokens=1), 10.0)
    assert not short.thinks(f"own/{MOST_MODELS + 1}")
