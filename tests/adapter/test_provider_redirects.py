"""Which redirects of a provider would take a key or a prompt elsewhere."""

from typing import Any

import httpx
import pytest

from scalix.litellm_adapter.provider_redirects import leads_away
from scalix.litellm_adapter.provider_transport import watched_blocking

HERE = "https://provider.test/v1/x"
AWAY = "https://elsewhere.test/"


def redirect(location: str) -> httpx.Response:
    return httpx.Response(307, headers={"location": location})


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "api-key", "x-goog-api-key"])
def test_what_is_fetched_with_a_key_stays_under_any_name_of_the_key(name: str) -> None:
    request = httpx.Request("GET", HERE, headers={name: "k"})
    assert leads_away(request, redirect(AWAY))
    assert not leads_away(request, redirect("/v2/x"))


def test_a_key_in_the_query_stays_and_what_is_fetched_without_any_may_go() -> None:
    assert leads_away(httpx.Request("GET", HERE + "?alt=sse&key=k"), redirect(AWAY))
    assert not leads_away(httpx.Request("GET", HERE + "?alt=sse"), redirect(AWAY))


@pytest.mark.parametrize(
    ("location", "is_away"),
    [
        ("/v2/x", False),
        ("https://provider.test:443/v2", False),
        ("https://provider.test:8443/v2", True),
        ("http://provider.test/v2", True),
        ("//elsewhere.test/v2", True),
        ("/" + "a" * 2_047, False),
        ("/" + "a" * 2_048, True),  # too long to be read
        ("https://[::1/", True),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_prompt_stays_with_its_host_port_and_protocol(location: str, is_away: bool) -> None:
    assert leads_away(httpx.Request("POST", HERE, content=b"{}"), redirect(location)) is is_away


def test_clients_that_block_do_not_follow_either() -> None:
    def answer(_: Any, request: httpx.Request) -> httpx.Response:
        return redirect(request.content.decode())

    handle = watched_blocking(answer)
    assert handle(None, httpx.Request("POST", HERE, content=AWAY.encode())).status_code == 502
    assert handle(None, httpx.Request("POST", HERE, content=b"/v2/x")).status_code == 307
