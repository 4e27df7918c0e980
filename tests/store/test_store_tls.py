"""The store over TLS: its settings, and a private authority with a certificate of ours. More is in tests/operate."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from scalix.domain.limits.quota import Admitted
from scalix.launch.settings.redis_url import redis_url
from scalix.store.connection.redis_client import connect
from scalix.store.connection.server_check import StoreUnusable, check_server
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.quota.redis_quota import QuotaStore
from tests.authority import Authority
from tests.store.servers import Server, free_ports, running
from tests.store.stores import ask, limits


def url_of(values: dict[str, str]) -> str:
    problems: list[str] = []
    url = redis_url(values, lambda name, what, fix: problems.append(f"{what}; {fix}"))
    assert not problems
    assert url
    return url


def problem_of(values: dict[str, str]) -> str:
    problems: list[str] = []
    assert redis_url(values, lambda name, what, fix: problems.append(f"{what}; {fix}")) is None
    (problem,) = problems
    return problem


async def admits(url: str, key_prefix: str) -> None:
    client = connect(url)
    try:
        store = QuotaStore(StoreSession(client, Keys(key_prefix)))
        for number in range(20):
            decision = await store.admit(ask(f"r{number}", limits(requests={"hour": 100}), subject=f"user:{number}"))
            assert isinstance(decision, Admitted)
    finally:
        await client.aclose()


@asynccontextmanager
async def behind_tls(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A port that speaks TLS in front of a server that does not."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while data := await reader.read(65_536):
                writer.write(data)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, forth), pump(back, writer), return_exceptions=True)

    listener = await asyncio.start_server(carry, "127.0.0.1", 0, ssl=context)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


async def test_a_private_authority_is_trusted_and_our_certificate_shown(tmp_path: Path, key_prefix: str) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(tmp_path / "server"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, key = map(str, authority.issue(tmp_path / "client", ("gateway",)))
    with running(Server(tmp_path / "store", free_ports(1)[0])) as server:
        async with behind_tls(server.port, context) as port:
            values = {"REDIS_URL": f"rediss://127.0.0.1:{port}/0", "REDIS_SSL_CA_CERTS": str(authority.file)}
            url = url_of({**values, "REDIS_SSL_CERTFILE": certificate, "REDIS_SSL_KEYFILE": key})
            assert (await asyncio.to_thread(check_server, url)).version
            await admits(url, key_prefix)
            with pytest.raises(StoreUnusable, match="does it want a certificate of ours"):
                await asyncio.to_thread(check_server, url_of(values))


def test_files_and_settings_for_tls_that_are_wrong_are_told(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pem")
    secure = {"REDIS_URL": "rediss://h:1/0"}
    assert problem_of({**secure, "REDIS_SSL_CA_CERTS": gone}).startswith(
        "REDIS_SSL_CA_CERTS can't be read (no such file or directory)"
    )
    said = problem_of({"REDIS_URL": f"rediss://h:1/0?ssl_certfile={gone}"})
    assert said.startswith("ssl_certfile of REDIS_URL can't be read (no such file")
    plain = {"REDIS_URL": "redis://h:1/0", "REDIS_SSL_CA_CERTS": __file__}
    assert "the store is called without TLS" in problem_of(plain)
    assert "REDIS_URL names no Sentinel" in problem_of({**secure, "REDIS_SENTINEL_PASSWORD": "secret"})
    assert "no server is" in problem_of({"REDIS_SSL_CA_CERTS": __file__})
    assert "write rediss+sentinel://" in problem_of({"REDIS_URL": "redis+sentinel://h:1/s", "REDIS_SSL": "true"})
    assert "it names no Sentinel" in problem_of({"REDIS_URL": "redis+sentinel:///s"})
    assert "keep one of the two" in problem_of({"REDIS_URL": "redis+sentinel://h:1/s", "REDIS_HOST": "h"})


def test_what_sentinels_and_their_server_are_called_with_is_put_together() -> None:
    values = {
        "REDIS_URL": "rediss+sentinel://a:1,b:2/s/0?db=1",
        "REDIS_USERNAME": "u",
        "REDIS_PASSWORD": "p@",
        "REDIS_SENTINEL_PASSWORD": "x/y",
        "REDIS_SSL_CA_CERTS": __file__,
    }
    url = url_of(values)
    assert url.startswith("rediss+sentinel://u:p%40@a:1,b:2/s/0?db=1&ssl_ca_certs=")
    assert url.endswith("&sentinel_password=x%2Fy")
