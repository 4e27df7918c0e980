"""`/v1/messages/count_tokens` and `/v1/responses/input_tokens`: answered here, charged to nobody, ten a second."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from scalix.edge.per_second import MOST_PER_S
from scalix.edge.routes import ENTRIES
from tests.edge.gates import Answered, InProcess, in_process

MESSAGES, RESPONSES = "/v1/messages/count_tokens", "/v1/responses/input_tokens"
HI: dict[str, dict[str, Any]] = {
    MESSAGES: {"messages": [{"role": "user", "content": "one two three four"}], "system": "five six"},
    RESPONSES: {"input": "one two three four", "instructions": "five six"},
}
BOTH = pytest.mark.parametrize("path", [MESSAGES, RESPONSES])


@pytest.fixture
async def edge(tmp_path: Path, store_url: str) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, store_url) as edge:
        yield edge


async def count(edge: InProcess, path: str, user: str = "u", **changes: Any) -> Answered:
    return await edge.call(path=path, body={"model": "free-small", "user": user, **HI[path], **changes})


@BOTH
@pytest.mark.parametrize("prefix", ["/v1", ""])
async def test_a_prompt_is_counted_and_nobody_charged(edge: InProcess, path: str, prefix: str) -> None:
    answered = await edge.call(
        path=prefix + path.removeprefix("/v1"), body={"model": "free-small", "user": "u", **HI[path]}
    )
    assert answered.status == 200
    counted = orjson.loads(answered.body)
    assert counted.pop("object", None) == ("response.input_tokens" if path == RESPONSES else None)
    assert 6 <= counted.pop("input_tokens") <= 6 * 1.22 + 60  # what stands around it, for a model nobody knows
    assert counted == {}
    assert edge.inner.scopes == []
    usage = await edge.call("GET", "/scalix/v1/usage", query=b"user_id=u")
    assert usage.error["code"] == "user_not_found"  # nobody who has made a request


@BOTH
async def test_a_longer_prompt_counts_as_more(edge: InProcess, path: str) -> None:
    field = "messages" if path == MESSAGES else "input"
    longer = "word " * 5_000
    more: dict[str, Any] = {field: [{"role": "user", "content": longer}]}
    assert 6_100 <= orjson.loads((await count(edge, path, **more)).body)["input_tokens"] <= 6_200


@BOTH
@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"model": "nothing"}, 404, "model_not_found"),
        ({"model": "large"}, 403, "model_not_allowed"),
        ({"model": None}, 400, "invalid_request"),
        ({"messages": "x", "input": 5}, 400, "invalid_request"),
        ({"api_base": "http://x"}, 400, "invalid_request"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, 400, "invalid_request"),
    ],
    ids=["unknown model", "other tier", "no model", "odd shape", "control field", "unknown size"],
)
async def test_what_is_wrong_is_said_in_the_format_of_the_path(
    edge: InProcess, path: str, changes: dict[str, Any], status: int, code: str
) -> None:
    answered = await count(edge, path, **changes)
    assert answered.status == status, answered.body
    body = orjson.loads(answered.body)
    assert body.get("type") == ("error" if path == MESSAGES else None)
    assert code in body["error"]["code"]


@BOTH
async def test_who_has_no_key_is_refused(edge: InProcess, path: str) -> None:
    answered = await edge.call(path=path, body={"model": "free-small", **HI[path]}, key="sk-wrong")
    assert (answered.status, answered.error["code"]) == (401, "invalid_api_key")


async def test_one_user_has_ten_a_second_and_others_have_theirs(edge: InProcess) -> None:
    counts = edge.gate._own.answers[ENTRIES[MESSAGES]["POST"]].args[0]
    counts._pace._clock = lambda: 7.5
    answers = [(await count(edge, MESSAGES)).status for _ in range(MOST_PER_S)]
    assert answers == [200] * MOST_PER_S
    refused = await count(edge, RESPONSES)
    assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (429, "rate_limit_exceeded", "1")
    assert (await count(edge, MESSAGES, user="another")).status == 200
    counts._pace._clock = lambda: 8.0
    assert (await count(edge, MESSAGES)).status == 200
