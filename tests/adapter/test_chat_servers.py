"""Which servers are asked by chat completions, and for how long."""

from typing import Any

import httpx
import pytest

from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.chat_servers import REMEMBERED_S, ChatServers
from scalix.service.exchange.attempts import ProviderError
from scalix.service.exchange.exchanges import CURRENT
from scalix.service.exchange.object_ids import NamedObjects
from tests.exchanges import made_exchange

CALL = {"api_base": "http://v/v1", "model": "openai/x"}


def exchange(*, ids: bool = False) -> Any:
    return made_exchange(route=Route.RESPONSES, named=NamedObjects(ids=ids))


def setting(servers: ChatServers, asking: Any, call: dict[str, Any] | None = None) -> bool:
    token = CURRENT.set(asking)
    try:
        return "use_chat_completions_api" in servers.with_setting(call or CALL, "aresponses")
    finally:
        CURRENT.reset(token)


def answered(servers: ChatServers, asking: Any, path: str, status: int, kind: str = "") -> None:
    servers.learn(asking, httpx.Request("POST", f"http://v{path}"), ProviderError(status, "", kind=kind))


def test_a_server_is_remembered_for_ten_minutes() -> None:
    now_s = [0.0]
    servers, asking = ChatServers(lambda: now_s[0]), exchange()
    assert not setting(servers, asking)
    answered(servers, asking, "/v1/responses", 404)
    assert asking.attempt.asks_anew
    assert setting(servers, exchange())
    assert not setting(servers, exchange(), {**CALL, "model": "openai/y"})
    now_s[0] = REMEMBERED_S
    assert not setting(servers, exchange())


@pytest.mark.parametrize(
    ("path", "status", "kind", "names"),
    [
        ("/v1/responses", 400, "", False),
        ("/v1/responses", 500, "", False),
        ("/v1/responses", 404, "model_not_found invalid_request_error", False),
        ("/v1/responses", 404, "", True),
        ("/v1/chat/completions", 404, "", False),
    ],
)
def test_what_says_nothing_about_the_path_is_not_remembered(path: str, status: int, kind: str, names: bool) -> None:
    servers, asking = ChatServers(), exchange()
    asking.admission.call.named.any = names
    setting(servers, asking)
    answered(servers, asking, path, status, kind)
    assert not asking.attempt.asks_anew
    assert not setting(servers, exchange())


def test_a_404_that_may_be_of_an_items_id_changes_the_way_of_that_request_alone() -> None:
    servers, asking = ChatServers(), exchange(ids=True)
    setting(servers, asking)
    answered(servers, asking, "/v1/responses", 404)
    assert asking.attempt.asks_anew
    assert setting(servers, asking)
    assert not setting(servers, exchange())


def test_a_server_that_has_no_chat_completions_either_is_forgotten() -> None:
    servers, asking = ChatServers(), exchange()
    setting(servers, asking)
    answered(servers, asking, "/v1/responses", 405)
    again = exchange()
    assert setting(servers, again)
    answered(servers, again, "/v1/chat/completions", 404)
    assert not setting(servers, exchange())
