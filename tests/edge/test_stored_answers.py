"""`GET` and `DELETE /v1/responses/{id}` before any provider is asked: who may ask how often, and what a path names."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scalix.edge.per_second import MOST_PER_S
from scalix.edge.routes import find
from scalix.edge.stored_answers import response_in
from tests.edge.gates import InProcess, in_process

ID = "/v1/responses/resp_abc"


@pytest.fixture
async def edge(tmp_path: Path, store_url: str) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, store_url) as edge:
        yield edge


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_one_user_has_ten_a_second_and_others_have_theirs(edge: InProcess, method: str) -> None:
    stored = edge.gate._own.answers[find(ID, ID.encode())[method]].args[0]  # type: ignore[index]
    stored._pace._clock = lambda: 7.5
    for _ in range(MOST_PER_S):
        answered = await edge.call(method, ID, query=b"user=u")
        assert (answered.status, answered.error["code"]) == (404, "object_not_found")
    refused = await edge.call(method, ID, query=b"user=u")
    assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (429, "rate_limit_exceeded", "1")
    assert (await edge.call(method, ID, query=b"user=another")).status == 404
    stored._pace._clock = lambda: 8.0
    assert (await edge.call(method, ID, query=b"user=u")).status == 404
    assert edge.inner.scopes == []


@pytest.mark.parametrize(
    ("raw", "ident"),
    [
        ("/v1/responses/resp_a", "resp_a"),
        ("/responses/resp_a", "resp_a"),
        ("/v1/responses/resp_a%3D%2F", "resp_a=/"),
        ("/v1/responses/%ff", "\ufffd"),
        ("/v1/responses/", ""),
        ("/v1/responses/resp_a/cancel", ""),
        ("/v1/responses/resp_a/input_items", ""),
        ("/v1/%72esponses/resp_a", ""),
        ("/v1/responses/input_tokens", "input_tokens"),
    ],
)
def test_a_path_names_a_response_by_one_name(raw: str, ident: str) -> None:
    assert response_in(raw.encode()) == ident
    methods = find("/v1/responses/x" if ident else raw, raw.encode())
    assert (methods is not None) == bool(ident)


def test_the_count_of_a_prompt_is_no_response() -> None:
    path = "/v1/responses/input_tokens"
    assert set(find(path, path.encode()) or {}) == {"POST"}
