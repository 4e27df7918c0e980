"""One gateway and one provider for all end-to-end tests of a session: importing LiteLLM costs seconds."""

import secrets
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.demo_server import DemoServer, demo_server
from tests.e2e.described_rig import shaped, shaped_provider
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_gateway import answered, answering

__all__ = ["answered", "answering", "demo_server", "shaped", "shaped_provider"]

NewUser = Callable[..., str]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), demo_server.url).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


@pytest.fixture
def new_user(http: httpx.Client) -> NewUser:
    """Makes a user of a tier, with a name that no other test uses."""

    def make(tier: str = "free") -> str:
        name = f"user-{secrets.token_hex(6)}"
        answer = http.post("/user/new", json={"user_id": name, "tier": tier, "auto_create_key": False})
        assert answer.status_code == 200, answer.text
        return name

    return make


@pytest.fixture
def marker() -> str:
    """A text to put in prompts, by which this test finds its requests in the provider's log."""
    return f"marker-{secrets.token_hex(6)}"
