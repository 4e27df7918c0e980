"""The environment does not make LiteLLM do what its config does not say, and what the config names arrives.

One running gateway with variables that lead to servers of the test's own.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Provider, scripted, whole
from tests.store.servers import Server, free_ports, running, wait_for

_PRICES = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "max_output_tokens": 4096}
# Models whose addresses are their providers' own.
MODELS = [
    {"model_name": name, "litellm_params": {"model": model, "api_key": "${TEST_PROVIDER_KEY}"}, "model_info": _PRICES}
    for name, model in (("far-openai", "openai/gpt-4o"), ("far-claude", "anthropic/claude-3-haiku"))
]


@dataclass
class Rig:
    """A gateway, its store, which the environment names, and a server that all addresses in the environment lead to."""

    gateway: Gateway
    store: Server
    elsewhere: Provider


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("environment")
    (own,) = free_ports(1)
    with (
        running(Server(folder / "store", own)) as store,
        scripted(lambda path, body: whole({})) as elsewhere,
    ):
        extra = {
            "REDIS_URL": store.url,
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(own),
            "VALKEY_HOST": "127.0.0.1",
            # How often LiteLLM would look into that store, so that no test has to wait for it.
            "DEFAULT_COOLDOWN_REDIS_READ_INTERVAL_SECONDS": "0.05",
            "DATABASE_URL": "postgresql://u:canary@127.0.0.1:9/x",
            "OPENAI_BASE_URL": f"{elsewhere.url}/moved/v1",
            "OPENAI_API_BASE": f"{elsewhere.url}/moved/v1",
            "ANTHROPIC_API_BASE": f"{elsewhere.url}/moved",
            "ANTHROPIC_BASE_URL": f"{elsewhere.url}/moved",
            "GENERIC_LOGGER_ENDPOINT": f"{elsewhere.url}/logged",
            "DEFAULT_FLUSH_INTERVAL_SECONDS": "1",
            "LANGFUSE_SECRET_KEY": "canary",
            "MY_MODULE_API_BASE": "x",
        }
        settings = {"success_callback": ["generic_api"]}
        gateway = Gateway(folder, demo_server.url, extra=extra, litellm_settings=settings, models=MODELS).start()
        try:
            with gateway.client() as client:
                assert client.post("/user/new", json={"user_id": "payer", "tier": "premium"}).status_code == 200
            yield Rig(gateway, store, elsewhere)
        finally:
            gateway.stop()


@pytest.fixture
def http(rig: Rig) -> Iterator[httpx.Client]:
    with rig.gateway.client() as client:
        yield client


def ask(http: httpx.Client, model: str = "free-claude-format") -> httpx.Response:
    messages = [{"role": "user", "content": "hello"}]
    return http.post("/v1/chat/completions", json={"model": model, "user": "payer", "messages": messages})


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """It takes connections and answers none."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def test_litellm_opens_no_store_that_the_environment_names(rig: Rig, http: httpx.Client) -> None:
    assert ask(http).status_code == 200
    # LiteLLM keeps such connections, the gateway does not
    assert not [client for client in rig.store.admin.client_list() if client["cmd"] == "ping"]


def test_a_frozen_store_holds_up_no_paid_answer(rig: Rig, http: httpx.Client) -> None:
    """LiteLLM's own cache in it held up each for 5 s, though ours was decided in 20 ms."""
    assert ask(http).status_code == 200
    with frozen(rig.store):
        began_s = time.monotonic()
        assert [ask(http).status_code for _ in range(3)] == [200, 200, 200]
        assert time.monotonic() - began_s < 5
    user = {"user_id": "payer", "tier": "premium"}
    wait_for(lambda: http.post("/user/update", json=user).status_code == 200, "the store to be back")


@pytest.mark.parametrize("model", ["far-openai", "far-claude"])
def test_an_address_in_the_environment_moves_no_model_whose_config_does_not_refer_to_it(
    rig: Rig, http: httpx.Client, model: str
) -> None:
    assert ask(http, model).status_code == 503  # its provider's own address is not to be reached from here
    assert not [path for path, _ in rig.elsewhere.asked if path.startswith("/moved")]


def test_the_variable_of_a_callback_that_the_config_names_arrives(rig: Rig, http: httpx.Client) -> None:
    assert ask(http).status_code == 200
    wait_for(lambda: any(path == "/logged" for path, _ in rig.elsewhere.asked), "the callback's report")
    seen = rig.gateway.workers()[0].environ()
    assert {"GENERIC_LOGGER_ENDPOINT", "DEFAULT_FLUSH_INTERVAL_SECONDS", "MY_MODULE_API_BASE"} <= seen.keys()
    assert not [name for name in seen if name.startswith(("REDIS_", "VALKEY_", "DATABASE_", "LANGFUSE_"))]


def test_the_operator_is_told_what_was_kept_out_and_why(rig: Rig) -> None:
    log = rig.gateway.log_text()
    told = [line for line in log.splitlines() if "kept from LiteLLM" in line]
    assert not any("REDIS_" in line for line in told)  # the gateway reads them itself
    assert any("OPENAI_BASE_URL" in line and "refer to it" in line for line in told)
    assert "canary" not in log
