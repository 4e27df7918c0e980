"""Programs of others at work, in the middle of an answer that the provider or the user breaks off."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.clients.acting_model import Turn
from tests.clients.catalogue import CLIENTS, Client
from tests.clients.test_tasks import Account, Run, World, _is_last, gateway, provider, world
from tests.e2e.scripted_provider import Answer

__all__ = ["gateway", "provider", "world"]
pytestmark = [pytest.mark.clients, pytest.mark.xdist_group("clients"), pytest.mark.timeout(900)]


def named(folder: str) -> Client:
    return next(client for client in CLIENTS if client.folder == folder)


class Held:
    """Sends the first half of an answer, and then nothing until it is let go."""

    def __init__(self) -> None:
        self.is_begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, turn: Turn, made: Answer) -> Answer | None:
        return Answer(200, self._pieces(list(made.pieces)), made.headers)

    def _pieces(self, pieces: list[bytes]) -> Iterator[bytes]:
        yield from pieces[: len(pieces) // 2]
        self.is_begun.set()
        self.go_on.wait(60)


@pytest.mark.parametrize("folder", ["codex", "claude-code", "opencode"])
def test_an_answer_that_the_user_breaks_off_is_settled_once_and_nothing_stays_in_flight(
    folder: str, world: World
) -> None:
    run, account = world.through_gateway(named(folder))
    held = Held()
    run.acting.instead = held
    process = run.start()
    assert held.is_begun.wait(60), run.finish(process, 1)
    os.killpg(process.pid, signal.SIGINT)
    try:
        run.finish(process, 30)
        settled_once(run, account, broken=1)
    finally:
        held.go_on.set()


@pytest.mark.parametrize("folder", ["codex", "claude-code", "opencode"])
def test_an_answer_that_the_provider_breaks_off_is_settled_once_and_the_task_goes_on_as_it_does_without_us(
    folder: str, world: World
) -> None:
    client = named(folder)

    def broken_once(run: Run) -> int:
        broken: list[Turn] = []

        def cut(turn: Turn, made: Answer) -> Answer | None:
            if broken or not _is_last(client, turn):
                return None
            broken.append(turn)
            pieces = list(made.pieces)
            chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces[: len(pieces) // 2]]
            return Answer(200, chunks, (*made.headers, ("transfer-encoding", "chunked")))

        run.acting.instead = cut
        return run.finish(run.start())

    directly = world.directly(client)
    expected = broken_once(directly)
    run, account = world.through_gateway(client)
    ended = broken_once(run)
    both = f"{directly.told}\n--- through the gateway:\n{run.told}"
    assert (ended == 0) == (expected == 0), both
    assert len(run.acting.turns) <= len(directly.acting.turns), both
    settled_once(run, account, broken=1)


def settled_once(run: Run, account: Account, *, broken: int) -> None:
    """Every request is counted once, a broken one as prompt and what came of it; and that stays so."""
    requests, tokens = account.used()
    assert requests == len(run.acting.answered), run.told
    whole_ones = sorted(sum(turn.tokens) for turn in run.acting.answered)[: len(run.acting.answered) - broken]
    assert tokens > sum(whole_ones), run.told
    time.sleep(0.5)  # what would settle a second time has had its chance
    assert account.used() == (requests, tokens)
