"""The two files of the product's own documents start as they are, and serve the three tiers."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.gateways import LOADED, ROOT, START_TIMEOUT_S
from tests.e2e.loaded import QUICK_RETRIES
from tests.launch.running import eventually
from tests.store.servers import Server, free_ports, running

CASES = ROOT / "tests" / "cases" / "configs"
KEY = "sk-scalix-dev-123456789"
FREE = ["free-gemini-flash", "free-deepseek-chat"]


class OwnFiles:
    """The gateway of these files; the environment says only where the test's own folder and Redis are, and that LiteLLM
    waits no second before it asks once more."""

    def __init__(self, folder: Path, redis_port: int) -> None:
        self.folder = folder
        self.log = folder / "litellm.log"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.environment = kept | {
            "SCALIX_STATE_DIR": str(folder / "state"),
            "LITELLM_LOG_FILE": str(self.log),
            "REDIS_PORT": str(redis_port),
            **QUICK_RETRIES,
        }
        self.url = ""

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        files = ("--env-file", str(CASES / "01-request.env"))
        return LOADED.command([*arguments, *files], env=self.environment, cwd=self.folder, timeout_s=START_TIMEOUT_S)

    def start(self) -> subprocess.CompletedProcess[str]:
        return self.command("--demo", "--detach", "--port", "0", "--config", str(CASES / "01-request.yaml"))

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30.0, trust_env=False
        )


@pytest.fixture(scope="module")
def own_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnFiles]:
    folder = tmp_path_factory.mktemp("own-files")
    with running(Server(folder / "store", free_ports(1)[0])) as store:
        gateway = OwnFiles(folder, store.port)
        done = gateway.start()
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        gateway.url = json.loads(gateway.command("--status", "--json").stdout)["address"]
        try:
            yield gateway
        finally:
            gateway.command("--stop")


@pytest.mark.parametrize(
    ("tier", "models"),
    [
        ("free", FREE),
        ("pro", [*FREE, "scalix-engine"]),
        ("premium", [*FREE, "scalix-engine", "gpt-4"]),
    ],
)
def test_the_three_tiers_are_served(own_files: OwnFiles, tier: str, models: list[str]) -> None:
    with own_files.client() as client:
        assert client.post("/user/new", json={"user_id": f"of-{tier}", "tier": tier}).status_code == 200
        for model in [*FREE, "scalix-engine", "gpt-4"]:
            body = {"model": model, "user": f"of-{tier}", "messages": [{"role": "user", "content": "Hi"}]}
            answer = client.post("/v1/chat/completions", json=body)
            assert answer.status_code == (200 if model in models else 403), answer.text
            assert model not in models or answer.json()["choices"][0]["message"]["content"]


def test_the_published_key_is_refused_through_a_proxy_and_the_log_says_what_to_set(own_files: OwnFiles) -> None:
    with own_files.client() as client:
        assert client.get("/v1/models").status_code == 200
        answer = client.get("/v1/models", headers={"x-forwarded-for": "192.0.2.1"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    words = "counts on this machine only; set LITELLM_MASTER_KEY to one made by"
    eventually(lambda: words in own_files.log.read_text(encoding="utf-8"), "the log says what to set")


def test_without_a_redis_it_says_to_start_one_or_to_remove_the_two_lines(tmp_path: Path) -> None:
    gateway = OwnFiles(tmp_path, free_ports(1)[0])
    port = gateway.environment.pop("REDIS_PORT")
    env_file = tmp_path / "own.env"
    text = (CASES / "01-request.env").read_text(encoding="utf-8")
    env_file.write_text(text.replace("REDIS_PORT=6379", f"REDIS_PORT={port}"), encoding="utf-8")
    options = ("--demo", "--port", "0", "--config", str(CASES / "01-request.yaml"), "--env-file", str(env_file))
    done = LOADED.command(options, env=gateway.environment, cwd=tmp_path, timeout_s=START_TIMEOUT_S)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line == (
        f"own.env:9: the store at redis://localhost:{port}/0 can't be reached: connection refused; start one there, or"
        " remove the two lines REDIS_HOST (own.env:9) and REDIS_PORT (own.env:10): then the gateway starts a store of"
        " its own"
    )
