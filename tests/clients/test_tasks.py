"""Programs of others at work: they call tools, read the results, and meet what goes wrong in the middle of a task.

Behind the gateway is a provider that acts as a model. What a program makes of a refusal is compared with what it makes
of OpenAI's own, without a gateway between them.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients.acting_model import LAST_WORDS, ActingModel, Turn
from tests.clients.catalogue import CLIENTS, MADE, MODEL, WRITTEN, Client
from tests.clients.environments import node, prepare
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, scripted_models, whole

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

PROGRAMS = [client for client in CLIENTS if client.task]
CLAUDE, FAILING = "task-claude", "task-failing"
MODELS = scripted_models((CLAUDE, "anthropic/claude-scripted", ""), (FAILING, "openai/failing", "/v1"))
TOO_LONG = {
    "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "type": "invalid_request_error",
    "param": "messages",
    "code": "context_length_exceeded",
}
each_program = pytest.mark.parametrize("client", PROGRAMS, ids=lambda client: client.folder)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(lambda path, body: whole({})) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    section = {"fallbacks": {FAILING: [CLAUDE]}}
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), provider.url, section=section, models=MODELS).start()
    yield gateway
    gateway.stop()


@dataclass
class Run:
    """One run of a program in a scratch folder, against `url`."""

    client: Client
    provider: Provider
    home: Path
    url: str
    key: str = "sk-nobody"
    model: str = MODEL
    told: str = ""
    acting: ActingModel = field(init=False)

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True)
        call = self.client.call
        at = str(self.work)
        self.acting = ActingModel(
            call
            if isinstance(call, str)
            else (call[0], {name: str(value).replace("{work}", at) for name, value in call[1].items()})
        )
        self.provider.answer = self.acting
        self.provider.asked.clear()

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def written(self) -> str | None:
        made = self.work / MADE
        return made.read_text(encoding="utf-8") if made.exists() else None

    def start(self) -> subprocess.Popen[str]:
        binaries = prepare(self.client)
        values = {"url": self.url, "key": self.key, "model": self.model, "home": str(self.home), "bin": str(binaries)}
        for name, text in self.client.files.items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(**values), encoding="utf-8")
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        kept["PATH"] = os.pathsep.join((str(node().parent), kept["PATH"]))
        own = {name: text.format(**values) for name, text in self.client.environment.items()}
        return subprocess.Popen(
            ["sh", "-c", self.client.task.format(**values)],
            env={**kept, "HOME": str(self.home), **own},
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str], seconds: float = 150) -> int:
        try:
            self.told = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            self.told = process.communicate()[0]
            pytest.fail(f"{self.client.name} did not end\n{self.told[-4000:]}")
        return process.returncode


@dataclass
class World:
    gateway: Gateway
    provider: Provider
    folder: Path

    def through_gateway(self, client: Client, model: str = MODEL, tier: str = "roomy") -> tuple[Run, "Account"]:
        account = Account(self.gateway, f"{client.folder}-{secrets.token_hex(4)}", tier)
        return Run(client, self.provider, self.folder / "through", self.gateway.url, account.key, model), account

    def directly(self, client: Client) -> Run:
        return Run(client, self.provider, self.folder / "directly", self.provider.url)


class Account:
    """A user of the gateway, and what they have used."""

    def __init__(self, gateway: Gateway, name: str, tier: str) -> None:
        self.name = name
        self.http = gateway.client()
        self.http.post("/user/new", json={"user_id": name, "tier": tier}).raise_for_status()
        self.key = str(self.http.post("/key/generate", json={"user_id": name}).raise_for_status().json()["key"])

    def used(self) -> tuple[int, int]:
        """Requests and tokens of today, when nothing is in flight any more."""
        for _ in range(100):
            usage: dict[str, Any] = self.http.get("/user/info", params={"user_id": self.name}).json()["usage"]
            if not usage["in_flight_requests"]:
                return usage["requests_today"], usage["tokens_today"]
            time.sleep(0.1)
        raise AssertionError(f"still in flight: {usage}")


@pytest.fixture
def world(gateway: Gateway, provider: Provider, tmp_path: Path) -> World:
    return World(gateway, provider, tmp_path)


def _is_last(client: Client, turn: Turn) -> bool:
    """Whether the model would end the task with this turn."""
    return isinstance(client.call, str) or bool(turn.results)


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
@each_program
def test_a_task_is_done_with_tools_and_each_turn_is_charged_as_the_provider_counted(
    client: Client, model: str, world: World
) -> None:
    run, account = world.through_gateway(client, model)
    assert run.finish(run.start()) == 0, run.told
    assert run.written == WRITTEN, run.told
    if run.acting.tool:
        assert LAST_WORDS in " ".join(run.told.split()), run.told
        assert len(run.acting.turns) >= 2
    assert account.used() == (len(run.acting.answered), run.acting.tokens)


@each_program
def test_another_model_takes_over_in_the_middle_of_a_task(client: Client, world: World) -> None:
    run, account = world.through_gateway(client, FAILING)
    failed = whole({"error": {"message": "overloaded", "type": "server_error"}}, 503)
    run.acting.instead = lambda turn, made: (
        failed if turn.body["model"] == "failing" and _is_last(client, turn) else None
    )
    assert run.finish(run.start()) == 0, run.told
    assert run.written == WRITTEN, run.told
    assert run.acting.turns[-1].path.endswith("/messages")
    assert account.used() == (len(run.acting.answered), run.acting.tokens)


@pytest.mark.parametrize("folder", ["aider", "codex", "continue"])
def test_a_context_that_is_too_long_ends_a_task_as_it_does_with_openai(folder: str, world: World) -> None:
    client = next(client for client in PROGRAMS if client.folder == folder)

    def too_long(turn: Turn, made: Answer) -> Answer | None:
        return whole({"error": TOO_LONG}, 400) if _is_last(client, turn) else None

    directly = world.directly(client)
    directly.acting.instead = too_long
    expected = directly.finish(directly.start())
    run, account = world.through_gateway(client)
    run.acting.instead = too_long
    ended = run.finish(run.start())
    both = f"{directly.told}\n--- through the gateway:\n{run.told}"
    assert (ended == 0) == (expected == 0), both
    assert len(run.acting.turns) <= len(directly.acting.turns), both
    for words in ("maximum context length", "context_length_exceeded", "context window"):
        assert words not in directly.told or words in run.told, both
    assert account.used()[1] == run.acting.tokens
