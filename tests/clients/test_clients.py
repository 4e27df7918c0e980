"""Clients of others against a running gateway: what they ask is answered, and counted as the provider counted it."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.catalogue import CLIENTS, MODEL, PYPI, Client
from tests.clients.environments import node, prepare
from tests.demo_server import DemoServer, demo_server
from tests.e2e.gateways import Gateway

__all__ = ["demo_server"]
pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

ANSWER = "no model was asked"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), demo_server.url).start()
    yield gateway
    gateway.stop()


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.folder)
def test_a_client_works_as_it_is(client: Client, gateway: Gateway, demo_server: DemoServer, tmp_path: Path) -> None:
    binaries = prepare(client)
    user = f"{client.folder}-{secrets.token_hex(4)}"
    before = demo_server.last_seq()
    with gateway.client() as http:
        http.post("/user/new", json={"user_id": user, "tier": "premium"}).raise_for_status()
        key = http.post("/key/generate", json={"user_id": user}).raise_for_status().json()["key"]
        told = (
            run_script(client, binaries, gateway.url, key)
            if client.set_up
            else run(client, binaries, gateway.url, key, tmp_path)
        )
        counted = http.get("/user/info", params={"user_id": user}).raise_for_status().json()["usage"]
    if client.set_up:
        assert [line.partition(" ")[0] for line in told.splitlines() if line.partition(" ")[0] in _first(client)] == [
            check.partition(" ")[0] for check in client.checks
        ], told
    else:
        assert ANSWER in " ".join(told.split()), told
    asked = [one for one in demo_server.requests(since=before, bodies=False) if one["method"] == "POST"]
    assert asked, "the provider was not asked"
    assert counted["requests_today"] == len(asked)
    assert counted["tokens_today"] == sum(one["prompt_tokens"] + one["completion_tokens"] for one in asked)


def _first(client: Client) -> set[str]:
    return {check.partition(" ")[0] for check in client.checks}


def run_script(client: Client, binaries: Path, url: str, key: str) -> str:
    runtime = binaries / "python" if client.kind == PYPI else node()
    script = client.script
    if client.kind != PYPI:  # modules are looked for beside the script
        script = binaries.parent.parent / script.name
        script.write_bytes(client.script.read_bytes())
    return finish([str(runtime), str(script), url, key, MODEL], {}, binaries.parent)


def run(client: Client, binaries: Path, url: str, key: str, home: Path) -> str:
    values = {"url": url, "key": key, "model": MODEL, "home": str(home), "bin": str(binaries)}
    for name, text in client.files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(**values), encoding="utf-8")
    work = home / "work"
    work.mkdir()
    environment = {name: text.format(**values) for name, text in client.environment.items()}
    return finish(["sh", "-c", client.command.format(**values)], {"HOME": str(home), **environment}, work)


def finish(command: list[str], environment: dict[str, str], place: Path) -> str:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    kept["PATH"] = os.pathsep.join((str(node().parent), kept["PATH"]))
    done = subprocess.run(
        command,
        env=kept | environment,
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}"
    return done.stdout
