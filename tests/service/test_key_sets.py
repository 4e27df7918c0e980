"""Key sets from where they are published, over real connections, files and outages."""

import asyncio
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from scalix.domain.errors import InvalidApiKey, KeysUnavailable
from scalix.domain.identity.identity import Issuer
from scalix.domain.policy import Policy
from scalix.service.identity.identity import Credential
from scalix.service.identity.key_sets import KeySetKeys, mark_of
from scalix.service.identity.tokens import COPIES, JsonWebTokens, tokens_of
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource
from scalix.store.key_set_sources import MAX_KEY_SET_BYTES, KeptCopy, KeySetFile, KeySetUnavailable, KeySetUrl
from scalix.store.records.redis_users import UserStore
from tests.service.token_issuer import AUDIENCE, NOW_S, TokenIssuer, key_set, public_jwk
from tests.service.token_rig import OTHER, TIERS, Publisher
from tests.store.memory.memory import MemoryStore


class Site:
    """A web site with one page. `hold` keeps answers back until it is set."""

    def __init__(self) -> None:
        self.body, self.status, self.headers = key_set(public_jwk("RS256", "one")), 200, dict[str, str]()
        self.hold = threading.Event()
        self.hold.set()
        self.requests = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests += 1
                site.hold.wait(20)
                self.send_response(site.status)
                for name, value in site.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(site.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def tokens_at(site: Site, state_dir: Path, now_ms: int = NOW_S * 1000) -> JsonWebTokens:
    """What a freshly started gateway knows."""
    users = UserDirectory(cast(UserStore, MemoryStore(lambda: now_ms)), PolicySource(Policy(TIERS, "free")))
    issuer = Issuer(OTHER, (AUDIENCE,), ("RS256",), jwks_url=site.url)
    return tokens_of([issuer], users, secrets={}, state_dir=state_dir, now_ms=lambda: now_ms)


async def subject_of(tokens: JsonWebTokens, token: str) -> str:
    caller = await tokens.caller(Credential(token))
    assert caller is not None
    return str(caller.subject)


async def test_keys_come_from_the_issuers_address(site: Site, tmp_path: Path) -> None:
    assert await subject_of(tokens_at(site, tmp_path), TokenIssuer(OTHER, "RS256", "one").token()) == "user:bob"


async def test_a_gateway_that_starts_while_the_issuer_is_away_knows_its_keys(site: Site, tmp_path: Path) -> None:
    token = TokenIssuer(OTHER, "RS256", "one").token()
    await subject_of(tokens_at(site, tmp_path), token)
    site.status = 503
    restarted = tokens_at(site, tmp_path)
    assert await subject_of(restarted, token) == "user:bob"
    with pytest.raises(InvalidApiKey):
        await restarted.caller(Credential(TokenIssuer(OTHER, "RS256", "two").token()))
    with pytest.raises(KeysUnavailable):
        await tokens_at(site, tmp_path / "other").caller(Credential(token))


async def test_the_copy_holds_public_parts_only_and_is_the_owners(site: Site, tmp_path: Path) -> None:
    leaked = {**public_jwk("RS256", "one"), "d": "canary-private", "k": "canary-secret", "x5c": ["canary-chain"]}
    site.body = key_set(leaked, {"kty": "oct", "k": "canary-shared"})
    await subject_of(tokens_at(site, tmp_path), TokenIssuer(OTHER, "RS256", "one").token())
    (copy,) = (tmp_path / COPIES).iterdir()
    assert "canary" not in copy.read_text()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", '{"source": "http://elsewhere/", "key_set": {}}'])
async def test_a_copy_that_is_broken_or_of_another_address_is_not_used(tmp_path: Path, text: str) -> None:
    copy = KeptCopy(tmp_path, "http://here/")
    await copy.write({"keys": []})
    for file in list(tmp_path.iterdir()):  # noqa: ASYNC240 - nothing else runs in this loop
        file.write_text(text)
    assert await copy.read() is None


async def test_a_state_directory_that_can_t_be_written_costs_the_copy_only(site: Site, tmp_path: Path) -> None:
    (tmp_path / COPIES).write_text("a file where the directory should be")
    assert await subject_of(tokens_at(site, tmp_path), TokenIssuer(OTHER, "RS256", "one").token()) == "user:bob"


async def test_an_issuer_that_does_not_answer_holds_nothing_up(site: Site) -> None:
    site.hold.clear()
    reading = asyncio.create_task(KeySetUrl(site.url, timeout_s=0.3).read())
    turns = 0
    while not reading.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 10
    with pytest.raises(KeySetUnavailable, match="no answer"):
        reading.result()


async def test_a_redirection_is_not_followed(site: Site) -> None:
    site.status, site.headers = 302, {"location": site.url}
    with pytest.raises(KeySetUnavailable, match="302"):
        await KeySetUrl(site.url).read()
    assert site.requests == 1


async def test_an_endless_key_set_is_not_read_to_its_end(site: Site, tmp_path: Path) -> None:
    site.body = b" " * (MAX_KEY_SET_BYTES + 1)
    with pytest.raises(KeySetUnavailable, match="bytes"):
        await KeySetUrl(site.url).read()
    (tmp_path / "keys.json").write_bytes(site.body)
    with pytest.raises(KeySetUnavailable, match="bytes"):
        await KeySetFile(tmp_path / "keys.json").read()


async def test_a_client_that_leaves_does_not_end_the_reading_that_others_wait_for() -> None:
    held = asyncio.Event()

    class Slow(Publisher):
        async def read(self) -> bytes:
            await held.wait()
            return await super().read()

    publisher = Slow(key_set(public_jwk("RS256", "one")))
    keys = KeySetKeys(publisher, refresh_s=600, now_ms=lambda: 0)
    first, second = (asyncio.create_task(keys.key("one", "RS256")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    held.set()
    found = await second
    assert found is not None
    assert publisher.reads == 1


async def test_a_key_set_in_a_file_is_read_anew(tmp_path: Path) -> None:
    path, now_ms = tmp_path / "keys.json", [0]
    path.write_bytes(key_set(public_jwk("ES256", "one")))
    keys = KeySetKeys(KeySetFile(path), refresh_s=60, now_ms=lambda: now_ms[0])
    one = await keys.key("one", "ES256")
    assert one is not None
    assert await keys.has(mark_of(one))
    path.write_bytes(key_set(public_jwk("ES256", "two")))
    now_ms[0] += 60_000
    await keys.refresh()
    assert await keys.key("one", "ES256") is None
    assert not await keys.has(mark_of(one))
    assert await keys.key("two", "ES256") is not None
    path.unlink()
    now_ms[0] += 60_000
    await keys.refresh()
    assert await keys.key("two", "ES256") is not None
