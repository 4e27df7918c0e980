"""Gateways of the version before and of this one serve one store behind HAProxy, while one replaces the other."""

import asyncio
import secrets
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import ROOT, Gateway
from tests.e2e.versions import OfVersion, tree_of
from tests.operate.books import all_went_well, books_agree, limit_held, settled
from tests.operate.load import Load
from tests.operate.topology import Installation
from tests.store.servers import Server, free_ports, running

pytestmark = [pytest.mark.operate, pytest.mark.timeout(600)]
# The last one that knows nothing of other gateways, of backups, and of a drain that takes longer than ten seconds.
BEFORE = "bee6892"
PAID = {"models": ["*"], "tokens": {"day": 50_000_000}, "on_store_failure": "allow"}
LIMIT = 60
EXACT = {"models": ["*"], "requests": {"day": LIMIT}, "on_store_failure": "deny"}
TIERS = {"default_tier": "paid", "tiers": {"paid": PAID, "exact": EXACT}, "prices": {"markup": {"paid": 1}}}
WAVE_S = 6.0
MESSAGE = {"role": "user", "content": "hello"}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree_of(BEFORE, tmp_path_factory.mktemp("before"))


def _replace_each(installation: Installation, steps: list[tuple[int, Path]]) -> None:
    for number, root in steps:
        _replace(installation, number, root)


def _replace(installation: Installation, number: int, root: Path) -> None:
    """As docs/deploy.md has it: one leaves the load balancer, the other version takes its place and is put in."""
    gateway = installation.gateways[number]
    installation.proxy.take_out(number)
    gateway.stop()
    gateway.root = root
    done = gateway.command("--detach", *gateway.options)
    assert done.returncode == 0, done.stdout + done.stderr + gateway.log_text()[-3000:]
    installation.proxy.put_in(number)


def test_each_gateway_is_replaced_by_the_next_version_and_one_goes_back_while_requests_and_streams_run(
    tmp_path: Path, demo_server: DemoServer, before: Path
) -> None:
    with running(Server(tmp_path / "store", free_ports(1)[0])) as store:
        variables = {"REDIS_URL": store.url}
        installation = Installation(tmp_path, demo_server.url, variables, TIERS, partial(OfVersion, root=before))
        with installation.running():
            exact = f"exact-{secrets.token_hex(6)}"
            installation.add_users({exact: "exact"})

            def load(marker: str) -> Load:
                return Load(installation.proxy.url, installation.proxy.authority.file, marker)

            waves, limited = list[Load](), load(exact)
            # With two of now beside one of before, then one, then none; and with one that goes back.
            steps = [(0, ROOT), (1, ROOT), (1, before), (1, ROOT), (2, ROOT)]

            async def waves_until(done: asyncio.Future[None]) -> None:
                async with asyncio.TaskGroup() as group:
                    while not done.done():
                        one = load(f"marker-{secrets.token_hex(6)}")
                        waves.append(one)
                        users = [f"{one.marker}-user-{number}" for number in range(3)]
                        run = one.run(seconds=WAVE_S, streams=6, stream_s=2 * WAVE_S, rate=6, users=users)
                        group.create_task(run)
                        await limited.run(seconds=WAVE_S, streams=0, stream_s=0, rate=2, users=[exact])

            async def all_of_it() -> None:
                replacing = asyncio.create_task(asyncio.to_thread(_replace_each, installation, steps))
                await waves_until(replacing)
                await replacing

            asyncio.run(all_of_it())
            for one in waves:
                all_went_well(one.sent)
            ledger = settled(store.admin)
            for one in waves:
                books_agree(one, demo_server, ledger)
            limit_held(limited, ledger, LIMIT)
            with installation.gateways[2].client() as http:
                found = http.get("/scalix/v1/ledger/verify").json()
            assert (found["whole"], found["differences"]) == (True, [])


def test_a_gateway_of_before_harms_nothing_that_only_this_version_keeps_and_is_reloaded_by_itself(
    tmp_path: Path, demo_server: DemoServer, before: Path
) -> None:
    with running(Server(tmp_path / "store", free_ports(1)[0])) as store:
        common: dict[str, Any] = {"extra": {"REDIS_URL": store.url}, "section": TIERS}
        old = OfVersion(tmp_path / "old", demo_server.url, root=before, **common)
        new = Gateway(tmp_path / "new", demo_server.url, **common)
        try:
            old.start()
            new.start()
            # Given what only this version keeps
            _backup(new, tmp_path / "backups")
            with old.client() as of_old, new.client() as of_new:
                for http, user in ((of_old, "a"), (of_new, "b"), (of_new, "c")):
                    http.post("/user/new", json={"user_id": user, "tier": "paid"}).raise_for_status()
                of_new.delete("/scalix/v1/users/b").raise_for_status()
                kept = _kept(store)
                assert all(kept.values()), kept
                # When the one of before does all that it can do with a store
                for method, path in (
                    ("GET", "/scalix/v1/users/c/export"),
                    ("DELETE", "/scalix/v1/users/a"),
                    ("POST", "/scalix/v1/retention/run"),
                    ("GET", "/scalix/v1/ledger/verify"),
                ):
                    of_old.request(method, path).raise_for_status()
                # Then that is as it was; of an erasure by it backups know nothing
                assert _kept(store) == kept
                # When the config changes for both
                for gateway in (old, new):
                    file = gateway.folder / "config.yaml"
                    file.write_text(file.read_text().replace("50000000", "50000001"))
                done = new.command("--reload")
                # Then this one does not wait for the other, which has no fellows, and each is reloaded by itself
                assert done.returncode == 0, done.stdout + done.stderr
                assert (_tokens(of_old), _tokens(of_new)) == (50_000_000, 50_000_001)
                done = old.own_command("--reload")
                assert done.returncode == 0, done.stdout + done.stderr
                assert _tokens(of_old) == 50_000_001
                ready = [http.get("/health/readiness").headers.get("x-scalix-config") for http in (of_old, of_new)]
                assert (ready[0], bool(ready[1])) == (None, True)
        finally:
            for gateway in (old, new):
                gateway.stop()


def _backup(gateway: Gateway, folder: Path) -> None:
    command = [sys.executable, "-m", "scalix", "backup", "create", "--to", str(folder)]
    environ = gateway.environment() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, cwd=gateway.folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def _kept(store: Server) -> dict[str, Any]:
    """The keys that the version before does not know, but for what ends by itself."""
    return {name: store.admin.hgetall(f"scalix:{name}") for name in ("backups", "erasures")} | {
        "instances": sorted(store.admin.hkeys("scalix:instances"))
    }


def _tokens(http: httpx.Client) -> int:
    """How many tokens a day of the tier `paid` holds, as this gateway has it."""
    told = http.post("/v1/chat/completions", json={"model": "scalix-engine", "user": "c", "messages": [MESSAGE]})
    return int(told.headers["x-ratelimit-limit-tokens"])
