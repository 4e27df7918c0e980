"""What LiteLLM's own cache answers is a request, and costs nothing."""

from collections.abc import Iterator

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.calls import WAYS, Bench, Way
from tests.e2e.gateways import Gateway

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def caching(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[Gateway]:
    settings = {"cache": True, "cache_params": {"type": "local"}}
    gateway = Gateway(tmp_path_factory.mktemp("caching"), demo_server.url, litellm_settings=settings).start()
    yield gateway
    gateway.stop()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way)))
def test_an_answer_from_the_cache_counts_as_a_request_without_tokens(
    caching: Gateway, demo_server: DemoServer, marker: str, way: Way
) -> None:
    route, model, stream = way
    with caching.client() as http:
        bench = Bench(caching, demo_server, http, _user(http, marker), marker)
        first = bench.post(route, "words=7", model=model, stream=stream)
        counted = bench.counted()
        again = [bench.post(route, "words=7", model=model, stream=stream) for _ in range(3)]
        assert {answer.status_code for answer in (first, *again)} == {200}
        (asked,) = bench.log()
        assert counted == (1, asked["prompt_tokens"] + asked["completion_tokens"], 0)
        assert bench.counted() == (4, counted[1], 0)


def _user(http: httpx.Client, name: str) -> str:
    assert http.post("/user/new", json={"user_id": name, "tier": "roomy"}).status_code == 200
    return name
