"""A LiteLLM that does not do what it should: seen before the gateway is ready. Broken on purpose, in real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import MASTER_KEY, Gateway, write_config
from tests.e2e.loaded import AFTER_LOAD

# Run by Python at the start of each process; breaks LiteLLM when that is imported. Where it has been loaded by then,
# what is broken is the same.
BREAKING = """
import sys

class Breaker:
    def find_spec(self, name, path=None, target=None):
        if name != {module!r}:
            return None
        sys.meta_path.remove(self)
        import importlib.util
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            {broken}
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Breaker())
"""
# What is put in the place of a part, in a module that has been loaded.
SEAM_GONE = (
    "scalix.litellm_adapter.direct_endpoints",
    "module.edge_caller.__code__ = (lambda exchange: None).__code__",
)
CLIENT_BROKEN = (
    "litellm.llms.openai.chat.gpt_transformation",
    "module.OpenAIGPTConfig.transform_request = lambda self, *a, **k: None.nothing",
)
CALLBACKS_GONE = (
    "litellm.litellm_core_utils.litellm_logging",
    "module.Logging.async_success_handler = None",
)


def _gateway(folder: Path, provider: DemoServer, module: str, broken: str) -> Gateway:
    path = folder / "broken"
    path.mkdir()
    (path / "sitecustomize.py").write_text(BREAKING.format(module=module, broken=broken), encoding="utf-8")
    script = folder / "break_it.py"
    script.write_text(f"import {module} as module\n{broken}\n", encoding="utf-8")
    gateway = Gateway(folder / "gateway", provider.url, extra={"PYTHONPATH": str(path), AFTER_LOAD: str(script)})
    gateway.folder.mkdir()
    write_config(gateway.folder / "config.yaml", {})
    return gateway


@pytest.fixture
def untrimmed(tmp_path: Path, demo_server: DemoServer) -> Iterator[Gateway]:
    gateway = _gateway(tmp_path, demo_server, *SEAM_GONE)
    yield gateway.start()
    gateway.stop()


def test_a_seam_that_does_not_do_what_it_should_leaves_litellm_untrimmed_with_a_warning(untrimmed: Gateway) -> None:
    with untrimmed.client() as http:
        body = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}
        assert http.post("/v1/chat/completions", json=body).status_code == 200
    assert "It is started once more, untrimmed" in untrimmed.log_text()


@pytest.mark.parametrize("broken", [CLIENT_BROKEN, pytest.param(CALLBACKS_GONE, marks=pytest.mark.soak)])
def test_a_litellm_that_is_broken_keeps_the_gateway_from_starting_and_says_why(
    tmp_path: Path, demo_server: DemoServer, broken: tuple[str, str]
) -> None:
    gateway = _gateway(tmp_path, demo_server, *broken)
    done = gateway.command("--detach", "--port", "0")
    gateway.stop()
    assert done.returncode != 0
    told = done.stdout + done.stderr + gateway.log_text()
    assert "LiteLLM does not pass the self-test" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert MASTER_KEY not in told
    assert gateway.command("--status").returncode != 0
