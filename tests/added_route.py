"""Shows what the package that is found first on the path does with a route `rerank`: run by test_adding_a_route.py."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from scalix.launch.config.offered import other_kind
from scalix.litellm_adapter.provider_calls import _PATHS
from tests.edge.gates import in_process
from tools.route_docs import openapi, rows

DOCUMENTS = ["word " * 1_000, "another one"]
BODY: dict[str, Any] = {"model": "free-small", "user": "u", "query": "which?", "documents": DOCUMENTS, "top_n": 1}


async def show(folder: Path, store_url: str) -> None:
    async with in_process(folder, store_url) as edge:
        for path in ("/v1/rerank", "/rerank"):
            answered = await edge.call(path=path, body={**BODY, "unknown": 1})
            assert answered.status == 200, answered.body
            assert edge.inner.scopes[-1]["path"] == "/v1/rerank"
            assert answered.headers["x-scalix-dropped"] == "unknown"
            sent = edge.inner.bodies[-1]
            assert {name: sent.get(name) for name in BODY} == {**BODY, "user": sent.get("user")}
            exchange = edge.inner.scopes[-1]["scalix"]
            assert exchange.admission.route == "rerank"
            receipt = exchange.admission.receipt
            assert receipt.prompt_tokens >= 1_000
            assert receipt.output_cap_tokens == 0
        for wrong, named in (
            ({"documents": None}, "documents"),
            ({"documents": [{}]}, "documents"),
            ({"query": 5}, "query"),
            ({"api_base": "http://elsewhere"}, "api_base"),
        ):
            refused = await edge.call(path="/v1/rerank", body={**BODY, **wrong})
            assert (refused.status, refused.error["param"]) == (400, named)
        assert (await edge.call(path="/v1/rerank", body=BODY, key="sk-wrong")).status == 401
        assert len(edge.inner.scopes) == 2
        used = (await edge.call("GET", "/user/info", query=b"user_id=u")).json["usage"]
        assert (used["requests_today"], used["in_flight_requests"]) == (2, 0)
        assert used["tokens_today"] > 0


def show_the_rest() -> None:
    assert ("POST", "/v1/rerank") in {(method, path) for method, path, _ in rows()}
    schema = openapi()["paths"]["/v1/rerank"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["model", "documents", "query"]
    assert {"top_n", "user"} <= schema["properties"].keys()
    assert "/rerank" in _PATHS
    assert other_kind({"mode": "rerank"}, {}) is None


if __name__ == "__main__":
    show_the_rest()
    asyncio.run(show(Path(sys.argv[1]), sys.argv[2]))
