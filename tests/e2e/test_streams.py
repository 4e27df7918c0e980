"""Streams through the whole gateway: the text is the provider's, byte for byte, however the events were joined."""

import asyncio
import json
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.demo_server import DemoServer
from tests.e2e.conftest import NewUser
from tests.e2e.gateways import Gateway

MODEL = "free-deepseek-chat"
SLOW_WORDS = 200_000
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def body_of(user: str, directives: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Tell me of rivers. [[demo {directives}]]"}]
    return {"model": MODEL, "messages": messages, "user": user, "stream": True, "max_tokens": 100_000, **more}


def parts_of(events: list[dict[str, Any]]) -> dict[tuple[Any, ...], str]:
    """The texts of a stream's chunks, put together by choice and kind."""
    parts: dict[tuple[Any, ...], str] = defaultdict(str)
    for choice in (choice for event in events for choice in event["choices"]):
        delta = choice["delta"]
        for kind in ("content", "reasoning_content"):
            parts[choice["index"], kind] += delta.get(kind) or ""
        for call in delta.get("tool_calls") or ():
            parts[choice["index"], call["index"], "name"] += call["function"].get("name") or ""
            parts[choice["index"], call["index"], "arguments"] += call["function"].get("arguments") or ""
    return {place: text for place, text in parts.items() if text}


def events_in(stream: str) -> list[dict[str, Any]]:
    return [
        json.loads(line[5:])
        for line in stream.replace("\r\n", "\n").split("\n")
        if line.startswith("data:") and line[5:].strip() != "[DONE]"
    ]


def streamed(http: httpx.Client, url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = http.post(url, json=body)
    assert answer.status_code == 200, answer.text
    return events_in(answer.text)


@pytest.mark.parametrize(
    ("directives", "more"),
    [
        ("words=400 burst=1", {}),
        ("words=400", {}),
        ("words=60 gap_ms=5", {}),
        ("words=300 burst=1 crlf=1", {}),
        ("words=40 gap_ms=5 crlf=1", {}),
        ("words=300 burst=1 no_done=1", {}),
        ("words=200 burst=1 chunk_chars=3", {}),
        ("words=200 burst=1 usage=none", {}),
        ("words=100 burst=1", {"n": 3}),
        ("words=200 burst=1", {"stream_options": {"include_usage": True}}),
        ("words=80 burst=1 tool=1", {"tools": [TOOL]}),
        ("words=80 burst=1 tool=1 crlf=1", {"tools": [TOOL], "n": 2}),
    ],
)
def test_the_text_is_the_providers_byte_for_byte(
    http: httpx.Client, new_user: NewUser, demo_server: DemoServer, directives: str, more: dict[str, Any]
) -> None:
    body = body_of(new_user("premium"), directives, **more)
    given = httpx.post(f"{demo_server.base_url}/chat/completions", json=body | {"user": None}, trust_env=False)
    through = streamed(http, "/v1/chat/completions", body)

    assert parts_of(through) == parts_of(events_in(given.text))
    finishes = [choice.get("finish_reason") for event in through for choice in event["choices"]]
    assert len([finish for finish in finishes if finish]) == more.get("n", 1)


def test_a_burst_reports_the_same_usage_as_a_stream_that_comes_slowly(http: httpx.Client, new_user: NewUser) -> None:
    usage = {"stream_options": {"include_usage": True}}
    burst = streamed(http, "/v1/chat/completions", body_of(new_user("premium"), "words=400 burst=1", **usage))
    paced = streamed(http, "/v1/chat/completions", body_of(new_user("premium"), "words=400", **usage))
    assert len(burst) <= len(paced)
    assert burst[-1]["usage"]["completion_tokens"] == paced[-1]["usage"]["completion_tokens"] == 400


def test_under_light_load_every_event_passes_as_it_came(http: httpx.Client, new_user: NewUser) -> None:
    events = streamed(http, "/v1/chat/completions", body_of(new_user("premium"), "words=20 gap_ms=40"))
    texts = [choice["delta"].get("content") for event in events for choice in event["choices"]]
    assert len([text for text in texts if text]) == 20


def test_so_is_the_text_of_the_older_completions_route(http: httpx.Client, new_user: NewUser) -> None:
    body = {"model": MODEL, "prompt": "Rivers. [[demo words=300 burst=1]]", "user": new_user("premium")}
    whole = http.post("/v1/completions", json=body | {"max_tokens": 1000}).json()["choices"][0]["text"]
    events = streamed(http, "/v1/completions", body | {"stream": True, "max_tokens": 1000})
    assert "".join(choice.get("text") or "" for event in events for choice in event["choices"]) == whole


def test_another_format_than_openais_is_not_joined(http: httpx.Client, new_user: NewUser) -> None:
    body = body_of(new_user("premium"), "words=50 burst=1") | {"model": "free-claude-format", "max_tokens": 1000}
    events = streamed(http, "/v1/chat/completions", body)
    assert len([event for event in events if event["choices"][0]["delta"].get("content")]) == 50


def test_an_error_in_the_middle_comes_after_the_text_before_it(http: httpx.Client, new_user: NewUser) -> None:
    body = body_of(new_user("premium"), "words=100 burst=1 error_after=60")
    answer = http.post("/v1/chat/completions", json=body).text
    events = events_in(answer)
    assert "error" in events[-1]
    words = "".join(parts_of(events[:-1]).values())
    plain = streamed(http, "/v1/chat/completions", body_of(new_user("premium"), "words=60 burst=1"))
    assert words.split() == "".join(parts_of(plain).values()).split()


def test_the_openai_sdk_reads_joined_streams(gateway: Gateway, new_user: NewUser) -> None:
    with OpenAI(api_key=gateway.master_key, base_url=f"{gateway.url}/v1") as client:
        body = body_of(new_user("premium"), "words=80 burst=1 tool=1", tools=[TOOL])
        arguments = ""
        for chunk in client.chat.completions.create(**body):
            for call in chunk.choices[0].delta.tool_calls or () if chunk.choices else ():
                arguments += (call.function.arguments or "") if call.function else ""
        assert isinstance(json.loads(arguments), dict)


def test_many_streams_at_once_keep_their_own_texts(gateway: Gateway, new_user: NewUser) -> None:
    """Enough of them that the worker falls behind and collects."""
    user, words = new_user("premium"), 60

    async def text(client: AsyncOpenAI) -> str:
        stream: AsyncIterator[Any] = await client.chat.completions.create(**body_of(user, f"words={words} gap_ms=10"))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    async def all_texts() -> list[str]:
        async with AsyncOpenAI(api_key=gateway.master_key, base_url=f"{gateway.url}/v1") as client:
            return await asyncio.gather(*(text(client) for _ in range(60)))

    texts = asyncio.run(all_texts())
    assert len(set(texts)) == 1
    assert len(texts[0].split()) == words


@pytest.mark.soak
def test_a_client_that_does_not_read_holds_its_provider_back_and_nobody_else(
    gateway: Gateway, http: httpx.Client, new_user: NewUser, demo_server: DemoServer, marker: str
) -> None:
    # Choices in turns are not joined, so this is far more than all buffers on the way.
    body = body_of(new_user("premium"), f"words={SLOW_WORDS}", n=2)
    body["messages"][0]["content"] += marker
    raw = json.dumps(body).encode()
    host, port = gateway.url.removeprefix("http://").split(":")
    with socket.socket() as slow:
        slow.settimeout(30)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.master_key}\r\n"
        slow.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n".encode() + raw)
        assert slow.recv(1024).startswith(b"HTTP/1.1 200")
        sent = -1
        while sent != (sent := _deltas(demo_server, marker)):
            events = streamed(http, "/v1/chat/completions", body_of(new_user("premium"), "words=200 burst=1"))
            assert len("".join(parts_of(events).values()).split()) == 200
        assert 0 < sent < SLOW_WORDS
    (left,) = demo_server.requests(contains=marker, settled=1, bodies=False)
    assert left["outcome"] == "client_left"


def _deltas(demo_server: DemoServer, marker: str) -> int:
    (request,) = demo_server.requests(contains=marker, bodies=False)
    assert request["outcome"] is None
    return int(request["deltas"])
