"""Whatever a provider sends in place of an answer, or does with its connection, ends as the outcome table says on both
engines: against a running gateway and a provider that is a bare socket."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.raw_answers import ANSWERS, BROKE, FAILED, FINE, TOO_LARGE
from tests.e2e.raw_provider import Asked, RawProvider, raw_provider
from tests.e2e.test_who_is_to_blame import Caller

pytestmark = pytest.mark.timeout(200)  # all answers are fetched by whichever test is first
ENGINES = ("direct", "litellm")
Way = tuple[str, str, bool]  # the answer, the engine, and whether it is streamed
_AT_ONCE = 4
BY_LITELLM = {("with a header that is no ASCII", "litellm")}  # fails there, as httpx can't hold it


def models(url: str, **params: Any) -> list[dict[str, Any]]:
    """A model for each engine, of the provider at `url`."""
    prices = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "max_output_tokens": 4096}
    return [
        {
            "model_name": f"{engine}-raw",
            "litellm_params": {"model": "openai/raw", "api_base": f"{url}/v1", "api_key": "none", **params},
            "model_info": {"engine": engine, **prices},
        }
        for engine in ENGINES
    ]


def answered(connection: Any, asked: Asked) -> None:
    """As the prompt says."""
    ANSWERS[asked.text.partition("|")[0]][0](connection, asked)


class Told:
    """What became of one request: its answer, what it costs, whether its place is free, how often it was asked."""

    def __init__(self, http: httpx.Client, provider: RawProvider, way: Way) -> None:
        name, engine, streamed = way
        caller = Caller(http)
        text = f"{name}|{caller.name}"
        more: dict[str, Any] = {"stream": True} if streamed else {}
        self.answer = caller.ask(f"{engine}-raw", messages=[{"role": "user", "content": text}], **more)
        self.requests, self.tokens = caller.used()
        self.in_flight = http.get("/user/info", params={"user_id": caller.name}).json()["usage"]["in_flight_requests"]
        self.asked = provider.times(text)

    def is_as(self, outcome: str) -> bool:
        counted, text, status = (self.requests, self.tokens), self.answer.text, self.answer.status_code
        if outcome == FINE:
            return (status, counted) == (200, (1, 12)) and "hel" in text and "error" not in text
        if outcome == FAILED:
            code = self.answer.json()["error"]["code"]
            return (status, counted, code) == (503, (0, 0), "provider_unavailable")
        if outcome == TOO_LARGE:
            return (status, self.requests) == (502, 1) and self.tokens > 4096
        return outcome == BROKE and status == 200 and 12 < self.tokens < 60 and "hel" in text and "error" in text


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Way, Told]]:
    ways = [(name, engine, streamed) for name in ANSWERS for engine in ENGINES for streamed in (False, True)]
    with raw_provider(answered) as provider:
        gateway = Gateway(
            tmp_path_factory.mktemp("sturdy"),
            provider.url,
            models=models(provider.url),
            section={"retries": {"same_model": 0}, "engine": "auto"},
        ).start()
        try:
            with gateway.client() as http, ThreadPoolExecutor(_AT_ONCE) as pool:
                yield dict(zip(ways, pool.map(lambda way: Told(http, provider, way), ways), strict=True))
        finally:
            gateway.stop()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ANSWERS)
def test_it_ends_as_the_outcome_table_says(told: dict[Way, Told], name: str, engine: str, streamed: bool) -> None:
    one, (_, whole, stream) = told[name, engine, streamed], ANSWERS[name]
    expected = FAILED if (name, engine) in BY_LITELLM else stream if streamed else whole
    assert one.is_as(expected), (
        one.answer.status_code,
        one.requests,
        one.tokens,
        one.answer.text[-300:],
    )
    assert one.in_flight == 0


def test_nothing_is_asked_twice_that_was_not_moved(told: dict[Way, Told]) -> None:
    assert [way for way, one in told.items() if one.asked != 1 and "moved" not in way[0]] == []


def test_no_page_of_the_providers_reaches_a_client(told: dict[Way, Told]) -> None:
    assert [way for way, one in told.items() if "<html>" in one.answer.text] == []
