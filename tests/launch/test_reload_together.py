"""Several gateways with one store: a reload is in force in all of them, or in none."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from scalix.launch.embedded.embedded_store import EmbeddedStore
from scalix.launch.processes.crew import Crew
from scalix.launch.processes.fellows import Call, Fellow, Fellows
from scalix.launch.processes.output import Output
from scalix.launch.processes.pump import PipePump
from scalix.launch.processes.reloading import Reloading
from scalix.launch.processes.runfile import ReloadEntry
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_instances import InstanceStore
from tests.launch.running import CONFIG, Gateway, Place, eventually
from tests.launch.test_reload import APP, rewrite, running


class Pair:
    """Two gateways with a store in common, each with its own files."""

    def __init__(self, folder: Path, store_url: str, prefix: str) -> None:
        extra = {**APP, "REDIS_URL": store_url, "SCALIX_KEY_PREFIX": prefix}
        self.places = [Place(folder / name, dict(extra)) for name in ("one", "two")]
        self.gateways = [place.start() for place in self.places]

    def hours(self) -> list[str]:
        return [gateway.get("/hour/free")[1] for gateway in self.gateways]

    def differ(self) -> list[bool]:
        return [bool(gateway.run_file.differing) for gateway in self.gateways]

    def close(self) -> None:
        for place in self.places:
            place.close()


def address(gateway: Gateway) -> str:
    return f"127.0.0.1:{gateway.port}"


@pytest.fixture
def pair(tmp_path: Path, store_url: str, key_prefix: str) -> Iterator[Pair]:
    made = Pair(tmp_path, store_url, key_prefix)
    yield made
    made.close()


def met(pair: Pair) -> None:
    """Have the gateways find each other: by then each sees the config of the other, which differs."""
    eventually(lambda: all(pair.differ()), "each sees that the other goes by another config")


def test_all_switch_when_each_has_read_the_same(pair: Pair, tmp_path: Path) -> None:
    one, two = pair.places
    # Given that one was started with another version: it serves, and the status of both says so
    pair.gateways[1].process.terminate()
    assert pair.gateways[1].process.wait(10) == 0
    rewrite(two, "hour: 10", "hour: 9")
    pair.gateways[1] = two.start()
    met(pair)
    assert pair.hours() == ["10", "9"]
    version = pair.gateways[1].run_file.config
    assert (
        f"warning  another config is in force at {address(pair.gateways[1])} ({version})" in one.run("--status").stdout
    )
    assert pair.gateways[0].status()["config_differs_at"] == [f"{address(pair.gateways[1])} ({version})"]

    # When a reload finds different files, then nothing changes anywhere, and who lacks it is named
    rewrite(one, "hour: 10", "hour: 7")
    refused = one.run("--reload")
    assert refused.returncode == 2
    assert f"{address(pair.gateways[1])} has another config in its files ({version}, here " in refused.stderr
    assert refused.stderr.endswith("nothing was changed\n")
    assert pair.hours() == ["10", "9"]

    # One whose files are wrong is named too
    rewrite(two, "hour: 9", "hour: nine")
    refused = one.run("--reload")
    assert refused.returncode == 2
    assert f"{address(pair.gateways[1])} can't use its own files" in refused.stderr
    two_says = two.log.read_text()
    assert f"asked for by {address(pair.gateways[0])}: " in two_says
    assert "scalix.tiers.free.requests.hour" in two_says

    # When all have the same, then one command is enough
    rewrite(two, "hour: nine", "hour: 7")
    done = one.run("--reload")
    assert (done.returncode, done.stderr) == (0, "")
    eventually(lambda: pair.hours() == ["7", "7"], "all have switched", deadline_s=2)
    eventually(lambda: not any(pair.differ()), "nobody differs any more")


def test_two_commands_at_once_are_one_reload(pair: Pair) -> None:
    rewrite(pair.places[0], "hour: 10", "hour: 8")
    rewrite(pair.places[1], "hour: 10", "hour: 8")
    eventually(lambda: _found(pair), "they know each other")
    with ThreadPoolExecutor() as pool:
        done = [one.result() for one in [pool.submit(place.run, "--reload") for place in pair.places]]
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert pair.hours() == ["8", "8"]


def test_one_that_was_killed_holds_up_nobody(pair: Pair) -> None:
    eventually(lambda: _found(pair), "they know each other")
    pair.gateways[1].process.kill()
    rewrite(pair.places[0], "hour: 10", "hour: 6")
    done = pair.places[0].run("--reload")
    assert (done.returncode, done.stderr) == (0, "")
    assert pair.gateways[0].get("/hour/free")[1] == "6"


def test_without_the_store_a_gateway_reloads_alone_and_says_so(place: Place, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, EmbeddedStore(tmp_path / "shared", output=log) as store:
        gateway = place.start(extra={**APP, "REDIS_URL": store.url})
        store.stop()
    rewrite(place, "hour: 10", "hour: 5")

    def said() -> bool:
        done = place.run("--reload")
        assert done.returncode == 0
        return "the store does not answer, so other gateways were not asked" in done.stdout

    eventually(said, "it has seen that the store is away")
    assert gateway.get("/hour/free")[1] == "5"


def _found(pair: Pair) -> bool:
    import redis

    extra = pair.places[0].extra
    with redis.Redis.from_url(extra["REDIS_URL"]) as store:
        return bool(store.hlen(f"{extra['SCALIX_KEY_PREFIX']}instances") == 2)


class Called:
    """A gateway that has called for a reload, beside two others that only the test knows of."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.yaml"
        self.path.write_text(CONFIG.replace("${TINY_KEY}", "none").replace("${OTHER_KEY}", "none"))
        (folder / "state").mkdir(mode=0o700)
        self.told: list[ReloadEntry] = []
        output, self.pump = Output(quiet=True, verbose=False), PipePump()
        plan = running(self.path, {"SCALIX_STATE_DIR": str(folder / "state")})
        self.one = Reloading(plan, Crew(self.pump, output), output, lambda *_: [], self.told.append)
        own = Fellow("one:1", plan.config.policy.version)
        self.fellows = self.one.fellows = Fellows("redis://127.0.0.1:1", "t:", own)
        self.fellows.is_away, self.fellows.others = False, [Fellow("two:1", "x"), Fellow("three:1", "x")]
        self.one.ask()
        self.one.step()
        self.fellows._told = self.fellows._call

    def hear(self, call: Call | None) -> None:
        self.fellows.heard = call
        self.one.step()

    def version(self) -> str:
        """What is in its files now."""
        return running(self.path).config.policy.version


@pytest.fixture
def called(tmp_path: Path) -> Iterator[Called]:
    made = Called(tmp_path)
    yield made
    made.pump.close()


def test_of_three_commands_at_once_the_last_call_counts_for_all(called: Called) -> None:
    # Given that it has called, and then two others have, one after the other
    for call in ("of-two", "of-three"):
        # Each of them finds what is in the files by then, and not what an earlier call has found
        called.path.write_text(called.path.read_text().replace("hour: 1", "hour: 11"))
        called.hear(Call(call, "two:1", "read"))
        assert called.fellows.own.call == call
        assert called.fellows.own.ready == called.version()
        assert called.told == []
    # When the last one gives the word, then what it has read itself is in force, and its operator hears so
    called.hear(Call("of-three", "three:1", "switch"))
    (entry,) = called.told
    assert not entry.problems
    assert called.fellows.own.config == called.version()


def test_a_mistake_that_a_further_call_finds_is_told_to_who_has_asked(called: Called) -> None:
    called.path.write_text(called.path.read_text().replace("hour: 10", "hour: ten"))
    called.hear(Call("of-two", "two:1", "read"))
    assert (called.fellows.own.call, called.fellows.own.ready) == ("of-two", "")
    (entry,) = called.told
    assert "scalix.tiers.free.requests.hour" in entry.problems[0]
    assert not called.one.is_waiting


def test_one_that_waits_no_more_does_not_count_as_ready(called: Called) -> None:
    called.hear(Call("of-two", "two:1", "read"))
    called.hear(None)
    (entry,) = called.told
    assert "do not have the same config" in entry.problems[0]
    assert (called.fellows.own.call, called.fellows.own.ready) == ("", "")


@pytest.mark.parametrize("hears", [True, False])
def test_who_leads_switches_when_the_store_has_taken_the_word_and_else_not(called: Called, hears: bool) -> None:
    call, before = called.fellows._call, called.fellows.own.config
    assert call
    ready = {"call": call.id, "ready": called.fellows.own.ready}
    called.fellows.others = [replace(one, **ready) for one in called.fellows.others]
    called.hear(call)
    assert called.fellows._call == replace(call, act="switch")
    assert called.told == []  # it waits to hear it, as the others do
    if hears:
        called.hear(called.fellows._call)
        assert called.told[0].problems == ()
        return
    called.fellows.is_away = True
    assert called.one._held
    called.one._held.until_s = 0.0
    called.one.step()
    assert "the store does not answer any more" in called.told[0].problems[0]
    assert called.fellows.own.config == before
    assert not called.fellows._call


async def test_who_takes_a_call_back_leaves_that_of_another_in_place(store_url: str, key_prefix: str) -> None:
    one, two = (Fellows(store_url, key_prefix, Fellow(name, "x")) for name in ("one:1", "two:1"))
    client = connect(store_url, connections=1)
    store = InstanceStore(StoreSession(client, Keys(key_prefix)))
    try:
        for caller in (one, two):
            caller.call(Call(f"of-{caller.own.address}", caller.own.address, "read"))
            await caller._look(store)
        await one._look(store)
        assert one.was_overtaken
        one.call(None)
        for looking in (one, two):
            await looking._look(store)
            assert looking.heard == two._call
        two.call(None)
        await two._look(store)
        assert two.heard is None
    finally:
        await client.aclose()
