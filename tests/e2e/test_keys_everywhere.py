"""Two instances with two workers each on one store: what is done to a key at one holds for the next request at each."""

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import Gateway, instances

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

MODEL = "free-gemini-flash"
ROUNDS = 10


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[list[Gateway]]:
    with instances(tmp_path_factory.mktemp("keys"), demo_server.url) as made:
        yield made


def statuses(gateways: list[Gateway], key: str, model: str = MODEL) -> set[int]:
    """Of a request on each of several fresh connections to each instance, so that every worker is met."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi [[demo words=1]]"}]}
    seen = set()
    for gateway in gateways:
        for _ in range(6):
            answer = httpx.post(
                f"{gateway.url}/v1/chat/completions",
                json=body,
                headers={"authorization": f"Bearer {key}"},
                timeout=30,
                trust_env=False,
            )
            seen.add(answer.status_code)
    return seen


def test_every_act_holds_for_the_next_request_of_every_worker(gateways: list[Gateway]) -> None:
    def act(number: int, path: str, **body: Any) -> dict[str, Any]:
        with gateways[number % 2].client() as operator:
            answer = operator.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

    for number in range(ROUNDS):
        user = f"user-{secrets.token_hex(6)}"
        act(number, "/user/new", user_id=user, tier="pro")
        key = act(number, "/key/generate", user_id=user)
        assert statuses(gateways, key["key"]) == {200}
        act(number, "/key/block", key=key["token"])
        assert statuses(gateways, key["key"]) == {403}
        act(number + 1, "/key/unblock", key=key["token"])
        assert statuses(gateways, key["key"]) == {200}
        assert statuses(gateways, key["key"], "gpt-4") == {403}
        act(number, "/user/update", user_id=user, tier="premium")
        assert statuses(gateways, key["key"], "gpt-4") == {200}
        act(number + 1, "/key/update", key=key["token"], models=["free-*"])
        assert statuses(gateways, key["key"], "gpt-4") == {403}
        fresh = act(number, "/key/regenerate", key=key["token"])
        assert statuses(gateways, key["key"]) == {401}
        assert statuses(gateways, fresh["key"]) == {200}
        act(number + 1, "/key/delete", keys=[fresh["token"]])
        assert statuses(gateways, fresh["key"]) == {401}
