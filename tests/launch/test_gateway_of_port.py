"""`--status`, `--stop` and `--reload` of the gateway that has a port."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.running import Gateway, Place, all_gone


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Gateway]]:
    places = [Place(tmp_path_factory.mktemp(name)) for name in ("one", "two")]
    yield places[0].start(), places[1].start(extra={"SCALIX_APP": "tests.launch.tiny_app:create_reloading_app"})
    for place in places:
        place.close()


def test_the_port_selects_the_gateway_whatever_the_state_directory_says(two: tuple[Gateway, Gateway]) -> None:
    one, other = two
    for gateway in two:
        done = one.place.run("--status", "--json", "--port", str(gateway.port))
        assert done.returncode == 0
        assert json.loads(done.stdout)["pid"] == gateway.process.pid
    done = one.place.run("--reload", "--port", str(other.port))
    assert (done.returncode, "tiers reloaded" in done.stdout) == (0, True)
    other.log_has("tiers reloaded")
    assert "tiers reloaded" not in one.place.log.read_text()


@pytest.mark.parametrize("action", ["--status", "--stop", "--reload"])
def test_where_no_gateway_has_the_port_it_is_3_and_a_line_that_says_so(
    two: tuple[Gateway, Gateway], tmp_path: Path, action: str
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = two[0].place.run(action, "--port", str(port))
        assert done.returncode == 3
        line = done.stdout + done.stderr
        assert line.startswith(f"no gateway of this user has port {port}; pid ")
        assert line.count("\n") == 1
    assert two[0].status()["state"] == two[1].status()["state"] == "ready"


def test_as_json_too(two: tuple[Gateway, Gateway]) -> None:
    done = two[0].place.run("--status", "--json", "--port", "1")
    assert (done.returncode, json.loads(done.stdout)["state"]) == (3, "not running")


def test_stop_ends_the_gateway_of_the_port_alone(two: tuple[Gateway, Gateway], place: Place) -> None:
    third = place.start()
    children = third.children()
    done = two[0].place.run("--stop", "--port", str(third.port))
    assert done.returncode == 0
    assert third.process.wait(5) == 0
    assert all_gone(children)
    assert two[0].status()["state"] == two[1].status()["state"] == "ready"
