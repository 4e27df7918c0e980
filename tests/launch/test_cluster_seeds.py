"""`REDIS_URL` that names several nodes of a cluster: one of them that is away stops neither a start nor a command."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalix.store.connection.redis_client import connect
from scalix.store.connection.server_check import StoreUnusable, check_server, redacted
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from tests.api.test_processes import ONE_LINER, python
from tests.launch.doctor_rig import Practice
from tests.launch.running import ROOT, Place
from tests.store.servers import Cluster, Server, free_ports, running

pytestmark = pytest.mark.xdist_group("clusters")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(Cluster(tmp_path_factory.mktemp("cluster"))) as made:
        yield made


@pytest.fixture(params=["dead", "silent"])
def url(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """The nodes, and before them one where nothing listens, or one that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if request.param == "silent" else free_ports(1)[0]
        yield cluster.url.replace("//", f"//127.0.0.1:{port},")


async def test_a_client_whose_first_node_is_away_has_its_first_answer_within_the_time_of_a_call(
    url: str, key_prefix: str
) -> None:
    client, another = connect(url), connect(url)
    assert await StoreSession(client, Keys(key_prefix)).set(f"{key_prefix}a", "1")
    assert len(await another.lanes()) == 3
    await client.aclose()
    await another.aclose()


def test_a_start_takes_the_first_node_that_is_there(url: str) -> None:
    assert check_server(url).cluster
    with pytest.raises(StoreUnusable, match="can't be reached: connection refused") as refused:
        check_server(",".join(f"127.0.0.1:{port}" for port in free_ports(2)).join(("redis://:canary@", "/0")))
    assert "canary" not in str(refused.value)


def test_check_doctor_backup_and_the_python_api_find_the_cluster(
    url: str, place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place.extra = {"REDIS_URL": url}
    assert place.run_here(monkeypatch, "--check")[0] == 0
    practice = Practice(place, monkeypatch)
    practice.variables["REDIS_URL"] = url
    seen = practice.examine()
    assert seen.the("store", "the cluster is whole")["level"] == "ok"
    away = redacted(url).removeprefix("redis://").partition(",")[0]
    assert seen.the("store", "does not answer; other nodes")["where"] == f"redis://{away}/0"
    made = subprocess.run(
        [sys.executable, "-m", "scalix", "backup", "create", "--to", str(tmp_path / "backups"), "--json"],
        env=place.environment() | {"PYTHONPATH": str(ROOT)},
        cwd=place.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr
    assert list((tmp_path / "backups").iterdir())
    done = python(place.folder, ONE_LINER, REDIS_URL=url, TINY_KEY="k" * 24)
    assert done.returncode == 0, done.stderr


def test_several_servers_that_are_no_cluster_are_none_for_us(tmp_path: Path) -> None:
    with running(Server(tmp_path / "one", free_ports(1)[0])) as one:
        url = one.url.replace("/0", f",127.0.0.1:{free_ports(1)[0]}/0")
        with pytest.raises(StoreUnusable, match="names several servers, and the first that answers is no node of a"):
            check_server(url)
