"""What many tests share: one real server per test process, and a prefix of one's own in it."""

import gc
import os
import secrets
import signal
from collections.abc import Iterator
from functools import cache

import httpx._transports.default as of_httpx
import httpx2._transports.default as of_httpx2  # Anthropic's client
import pytest
from hypothesis import HealthCheck, settings

# Machines that run tests are slow and shared: how long an example takes says nothing, and a run must repeat.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("repeatable")
# Otherwise LiteLLM fetches its price map when a test imports it, and waits eight seconds where there is no network.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
# Each client reads all authorities' certificates: 16 ms for each of thousands, of which none uses TLS.
for transports in (of_httpx, of_httpx2):
    transports.create_ssl_context = cache(transports.create_ssl_context)  # type: ignore[attr-defined]


def pytest_configure() -> None:
    """A worker of pytest-xdist ends with its controller, and its server with it, however the controller ends. Gateways
    under test obey a hang-up, also where whatever runs the tests (nohup, a build machine) ignores it."""
    gc.disable()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if "PYTEST_XDIST_WORKER" in os.environ:
        from scalix.launch.processes.child_process import end_with

        end_with(os.getppid())


def pytest_collection_finish() -> None:
    """What was collected (thousands of tests, and LiteLLM) is there to the end. To look through it for garbage again
    and again took half of the time that collecting took."""
    gc.enable()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders of whole gateways come first: what begins last decides how long other workers wait."""
    slow = ("e2e", "edge", "launch", "api", "store", "service")
    ranks = {name: rank for rank, name in enumerate(slow)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(slow)))


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real server, shared by the tests of this process: keep to keys under `key_prefix`, never flush."""
    from scalix.launch.embedded.embedded_store import EmbeddedStore

    directory = tmp_path_factory.mktemp("shared-store")
    with (directory / "server.log").open("wb") as log, EmbeddedStore(directory / "state", output=log) as store:
        yield store.url


@pytest.fixture
def key_prefix() -> str:
    """A prefix that no other test uses, such as `t-5f0c9a1be2d4:`."""
    return f"t-{secrets.token_hex(6)}:"
