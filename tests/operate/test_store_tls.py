"""The store over TLS, with certificates of an authority of the tests' own: Debian's Redis alone, and as a cluster."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalix.store.base import StoreUnavailable
from scalix.store.connection.redis_client import connect
from scalix.store.connection.server_check import StoreUnusable, check_server
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from tests.authority import Authority
from tests.store.backup_rig import contents, parts_of, session_at
from tests.store.ledger_rig import LedgerRig
from tests.store.servers import SLOTS, Server, free_ports, running, wait_for
from tests.store.test_backup import SETTINGS, a_store_of_everything, kept
from tests.store.test_store_tls import admits, url_of

pytestmark = pytest.mark.operate


class SecureServer(Server):
    """Debian's, as the bundled one is built without TLS."""

    binary = Path(shutil.which("redis-server") or "redis-server")


class Secure:
    """Servers that speak TLS on a second port, and ask clients for certificates if `mutual`. Several are a cluster."""

    def __init__(self, directory: Path, *, number: int = 1, mutual: bool = False) -> None:
        self.authority = Authority(directory)
        certificate, key = self.authority.issue(directory / "server")
        self.client = self.authority.issue(directory / "client", ("gateway",))
        ports = free_ports(2 * number)
        self.tls_ports = ports[number:]
        common: tuple[str, ...] = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key))
        common += ("--tls-ca-cert-file", str(self.authority.file), "--tls-auth-clients", "yes" if mutual else "no")
        if number > 1:
            common += ("--cluster-enabled", "yes", "--tls-cluster", "yes")
        self.servers = [
            SecureServer(directory / str(port), port, "--tls-port", str(tls_port), *common)
            for port, tls_port in zip(ports[:number], self.tls_ports, strict=True)
        ]

    def variables(self, **others: str) -> dict[str, str]:
        url = f"rediss://127.0.0.1:{self.tls_ports[0]}/0"
        return {"REDIS_URL": url, "REDIS_SSL_CA_CERTS": str(self.authority.file), **others}

    @property
    def own(self) -> dict[str, str]:
        return {"REDIS_SSL_CERTFILE": str(self.client[0]), "REDIS_SSL_KEYFILE": str(self.client[1])}

    def start(self) -> "Secure":
        for server in self.servers:
            server.start()
        if len(self.servers) > 1:
            for number, server in enumerate(self.servers):
                first, last = (SLOTS * part // len(self.servers) for part in (number, number + 1))
                server.admin.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last - 1)
                server.admin.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for port in self.tls_ports[1:]:
                self.servers[0].admin.execute_command("CLUSTER", "MEET", "127.0.0.1", port)
            for server in self.servers:
                wait_for(lambda server=server: "cluster_state:ok" in _info(server), "the cluster to be well")
        return self

    def close(self) -> None:
        for server in self.servers:
            server.close()


def _info(server: Server) -> str:
    return str(server.admin.execute_command("CLUSTER", "INFO"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    with running(Secure(tmp_path_factory.mktemp("tls"))) as made:
        yield made


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    with running(Secure(tmp_path_factory.mktemp("mutual"), mutual=True)) as made:
        yield made


async def test_a_server_with_a_private_authority_is_the_store(secure: Secure, key_prefix: str) -> None:
    url = url_of(secure.variables())
    assert check_server(url).version
    await admits(url, key_prefix)


async def test_the_options_stand_in_the_url_too_and_in_parts(secure: Secure, key_prefix: str) -> None:
    file, port = secure.authority.file, str(secure.tls_ports[0])
    await admits(url_of({"REDIS_URL": f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={file}"}), key_prefix)
    parts = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": port, "REDIS_SSL": "true", "REDIS_SSL_CA_CERTS": str(file)}
    await admits(url_of(parts), key_prefix)


async def test_a_server_that_asks_for_a_certificate_gets_ours(mutual: Secure, key_prefix: str) -> None:
    url = url_of(mutual.variables(**mutual.own))
    assert check_server(url).version
    await admits(url, key_prefix)
    with pytest.raises(StoreUnusable, match="does it want a certificate of ours"):
        check_server(url_of(mutual.variables()))


async def test_a_cluster_is_the_store_by_tls_and_with_our_certificate(tmp_path: Path, key_prefix: str) -> None:
    with running(Secure(tmp_path, number=3, mutual=True)) as cluster:
        url = url_of(cluster.variables(**cluster.own))
        assert check_server(url).cluster
        await admits(url, key_prefix)
        # Every node was used, and by TLS.
        for server in cluster.servers:
            assert int(server.admin.dbsize()) > 0


async def test_a_server_of_another_authority_or_name_is_not_trusted(
    secure: Secure, tmp_path: Path, key_prefix: str
) -> None:
    other = Authority(tmp_path, "another").file
    for values, said in (
        (secure.variables(REDIS_SSL_CA_CERTS=str(other)), "is not trusted (name the authority's file in"),
        ({"REDIS_URL": secure.variables()["REDIS_URL"]}, "is not trusted (name the authority's file in"),
        (
            secure.variables(REDIS_URL=f"rediss://127.0.0.2:{secure.tls_ports[0]}/0"),
            "connection refused",  # the server is on 127.0.0.1 alone
        ),
    ):
        url = url_of(values)
        with pytest.raises(StoreUnusable) as wrong:
            check_server(url)
        assert said in str(wrong.value)
        client = connect(url)
        with pytest.raises(StoreUnavailable):
            await StoreSession(client, Keys(key_prefix)).ping()
        await client.aclose()


async def test_the_name_of_the_server_is_looked_at_unless_that_is_switched_off(tmp_path: Path, key_prefix: str) -> None:
    made = Secure(tmp_path)
    made.authority.issue(tmp_path / "server", ("store.example.com",))
    with running(made) as elsewhere:
        with pytest.raises(StoreUnusable, match="its TLS certificate is for another host name"):
            check_server(url_of(elsewhere.variables()))
        url = elsewhere.variables()["REDIS_URL"] + "?ssl_check_hostname=false"
        await admits(url_of(elsewhere.variables(REDIS_URL=url)), key_prefix)


async def test_a_backup_by_tls_restores_to_the_last_figure(mutual: Secure, key_prefix: str, tmp_path: Path) -> None:
    url = url_of(mutual.variables(**mutual.own))
    rig = LedgerRig(url, key_prefix)
    await a_store_of_everything(rig)
    before = kept(await contents(rig.session))
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    await rig.close()
    async with session_at(url, f"{key_prefix}2:") as other:
        await parts_of(other, tmp_path, "other").restoring.restore(None)
        assert kept(await contents(other)) == before
