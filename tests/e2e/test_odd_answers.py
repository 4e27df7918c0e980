"""What a provider may send without end, or much larger than it looks, is bounded: by a running gateway's memory."""

import gzip
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, whole
from tests.e2e.test_late_usage import CHAT, chunk
from tests.e2e.test_who_is_to_blame import CLAUDE, GEMINI, MODELS, OPENAI, Caller, proper

_EVENTS = ("content-type", "text/event-stream")
_MIB = 2**20


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(proper) as made:
        yield made


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("odd"), provider.url, models=MODELS).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def http(odd: Gateway) -> Iterator[httpx.Client]:
    with odd.client() as client:
        yield client


def peak_bytes(gateway: Gateway) -> int:
    """The most memory that the worker has had resident so far."""
    (worker,) = gateway.workers()
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@cache
def bomb() -> bytes:
    """A megabyte that is 200 MiB when it is inflated."""
    return gzip.compress(b'{"choices": "' + b"0" * (200 * _MIB) + b'"}', 1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "application/json"), (200, "text/event-stream"), (200, "text/html"), (400, "application/json")],
)
def test_a_compressed_answer_takes_no_more_memory_than_a_large_one(
    odd: Gateway, http: httpx.Client, provider: Provider, status: int, kind: str
) -> None:
    answer = Answer(status, (bomb(),), (("content-encoding", "gzip"), ("content-type", kind)))
    provider.answer = lambda path, body: answer
    caller, before = Caller(http), peak_bytes(odd)
    got = caller.ask(OPENAI, stream=kind == "text/event-stream")
    # Then it is a failure like another, and little of it was ever in memory
    assert got.status_code in (400, 502, 503), got.text[:300]
    assert peak_bytes(odd) - before < 150 * _MIB
    provider.answer = proper
    assert caller.ask(OPENAI).status_code == 200


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "x-unknown"])
def test_a_coding_that_was_not_asked_for_is_not_read(http: httpx.Client, provider: Provider, coding: str) -> None:
    headers = (("content-type", "application/json"), ("content-encoding", coding))
    provider.answer = lambda path, body: Answer(200, (b"\x1b\x2f\x00" * 100,), headers)
    assert Caller(http).ask(OPENAI).status_code == 503
    assert provider.heads[-1]["accept-encoding"] == "gzip, deflate"


def test_a_compressed_answer_of_the_usual_kind_is_read(http: httpx.Client, provider: Provider) -> None:
    def packed(path: str, body: dict[str, Any]) -> Answer:
        made = proper(path, body)
        return Answer(200, (gzip.compress(b"".join(made.pieces)),), (*made.headers, ("content-encoding", "gzip")))

    provider.answer = packed
    answer = Caller(http).ask(OPENAI)
    assert answer.json()["choices"][0]["message"]["content"] == "hello"


def test_signs_of_life_are_not_gathered_before_the_first_text(
    odd: Gateway, http: httpx.Client, provider: Provider
) -> None:
    # Given a provider that sends 100 MiB of comments before it says something
    comment = b": still at work".ljust(1022, b".") + b"\n\n"

    def busy(path: str, body: dict[str, Any]) -> Answer:
        def pieces() -> Iterator[bytes]:
            for _ in range(100):
                yield comment * 1024
            yield from (*CHAT[0], *CHAT[1])

        return Answer(200, pieces(), (_EVENTS,))

    provider.answer = busy
    caller, before = Caller(http), peak_bytes(odd)
    got = caller.ask(OPENAI, stream=True)
    # Then the answer is whole, and they were never held
    assert b"hello" in got.content
    assert got.content.rstrip().endswith(b"[DONE]")
    assert peak_bytes(odd) - before < 60 * _MIB


def test_a_line_without_end_is_a_failure(odd: Gateway, http: httpx.Client, provider: Provider) -> None:
    def endless(path: str, body: dict[str, Any]) -> Answer:
        return Answer(200, (b'data: {"choices":"', *(b"x" * _MIB for _ in range(200))), (_EVENTS,))

    provider.answer = endless
    caller, before = Caller(http), peak_bytes(odd)
    got = caller.ask(OPENAI, stream=True)
    assert got.status_code == 503 or b"error" in got.content
    assert peak_bytes(odd) - before < 150 * _MIB


def test_signs_of_life_in_the_middle_of_an_answer_reach_the_client_as_they_come(
    http: httpx.Client, provider: Provider
) -> None:
    def thinking(path: str, body: dict[str, Any]) -> Answer:
        def pieces() -> Iterator[bytes]:
            yield chunk({"role": "assistant", "content": "hello"})
            for _ in range(25):
                time.sleep(0.1)
                yield b": OPENROUTER PROCESSING\n\n"
            yield from (CHAT[0][1], *CHAT[1])

        return Answer(200, pieces(), (_EVENTS,))

    provider.answer = thinking
    got = Caller(http).ask(OPENAI, stream=True)
    assert 1 <= got.content.count(b": keep-alive\n\n") <= 4
    assert got.content.rstrip().endswith(b"[DONE]")


def test_what_is_embedded_at_once_reaches_the_client_figure_by_figure(http: httpx.Client, provider: Provider) -> None:
    vectors = [[round(0.000_1 * (index + number) - 0.5, 6) for number in range(256)] for index in range(50)]

    def embedded(path: str, body: dict[str, Any]) -> Answer:
        data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
        return whole({"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 50, "total_tokens": 50}})

    provider.answer = embedded
    caller = Caller(http)
    answer = caller.ask(OPENAI, "/v1/embeddings", input=["hi"] * 50)
    assert [item["embedding"] for item in answer.json()["data"]] == vectors
    assert caller.used() == (1, 50)


def test_log_probabilities_of_a_long_answer_reach_the_client(http: httpx.Client, provider: Provider) -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": [{"token": "a", "logprob": -0.1}] * 20}

    def probable(path: str, body: dict[str, Any]) -> Answer:
        answer = orjson.loads(b"".join(proper(path, body).pieces))
        answer["choices"][0]["logprobs"] = {"content": [token] * 600, "refusal": None}
        return whole(answer)

    provider.answer = probable
    answer = Caller(http).ask(OPENAI, logprobs=True, top_logprobs=20)
    assert answer.json()["choices"][0]["logprobs"]["content"] == [token] * 600
    assert answer.json()["choices"][0]["message"]["content"] == "hello"


def test_an_answer_of_more_values_than_are_read_is_asked_for_once_and_charged_as_reserved(
    http: httpx.Client, provider: Provider
) -> None:
    def wide(path: str, body: dict[str, Any]) -> Answer:
        return whole({**orjson.loads(b"".join(proper(path, body).pieces)), **{f"k{n}": 1 for n in range(30_000)}})

    provider.answer = wide
    caller, asked = Caller(http), len(provider.asked)
    assert caller.ask(OPENAI, max_tokens=100).status_code == 502
    assert len(provider.asked) == asked + 1
    requests, tokens = caller.used()
    assert requests == 1
    assert 100 < tokens < 200


NO_ANSWERS = [b"", b"{}", b"null", b"<html>busy</html>", b"data: [DONE]\n\n"]
WAYS = [
    *((OPENAI, path) for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")),
    *((CLAUDE, path) for path in ("/v1/chat/completions", "/v1/messages")),
    (GEMINI, "/v1/chat/completions"),
]


@pytest.mark.parametrize("kind", ["application/json", "text/html", ""])
@pytest.mark.parametrize(("model", "path"), WAYS)
def test_a_200_without_an_answer_in_it_is_a_failure_of_the_provider_streamed_or_not(
    http: httpx.Client, provider: Provider, model: str, path: str, kind: str
) -> None:
    """It was an empty answer that had come to its end, and was charged; of Gemini's, the client's 422."""
    caller = Caller(http)
    headers = (("content-type", kind),) if kind else ()
    for stream in (False, True):
        for body in NO_ANSWERS:
            provider.answer = lambda path, asked, body=body: Answer(200, (body,), headers)  # type: ignore[misc]
            got = caller.ask(model, path, stream=stream)
            assert got.status_code == 503, (stream, body, got.text[:300])
            assert "busy" not in got.text
    assert caller.used() == (0, 0)
    provider.answer = proper
    assert caller.ask(model, path).status_code == 200


def test_events_that_are_said_to_be_text_are_read_as_events(http: httpx.Client, provider: Provider) -> None:
    provider.answer = lambda path, body: Answer(200, (*CHAT[0], *CHAT[1]), (("content-type", "text/plain"),))
    caller = Caller(http)
    got = caller.ask(OPENAI, stream=True)
    assert b"hello" in got.content
    assert caller.used() == (1, 20_070)


def test_a_whole_answer_where_events_were_asked_for_is_charged_what_it_states(
    http: httpx.Client, provider: Provider
) -> None:
    provider.answer = lambda path, body: proper(path, body)
    caller = Caller(http)
    got = caller.ask(OPENAI, "/v1/responses", stream=True)
    assert (got.status_code, got.json()["error"]["code"]) == (502, "answer_untranslatable")
    assert caller.used() == (1, 12)
    # Of OpenAI's chat format it is the only event
    got = caller.ask(OPENAI, stream=True)
    assert b"hello" in got.content
    assert caller.used() == (2, 24)
