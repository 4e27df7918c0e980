"""What has to be true when a load is over: of each request, of limits, and of the ledger beside the provider's log."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.demo_server import DemoServer
from tests.e2e.chaos import Fate
from tests.e2e.ledger_truth import Ledger, by_key, expected_of, mismatches
from tests.operate.load import Load, Sent

SWEPT_WITHIN_S = 100.0


def settled(client: Any) -> Ledger:
    """The ledger, when nothing is in flight any more; no request is in it twice."""
    ledger = Ledger(client)
    deadline_s = time.monotonic() + SWEPT_WITHIN_S
    while ledger.in_flight() > 0:
        assert time.monotonic() < deadline_s, "requests are still in flight"
        time.sleep(0.5)
    assert ledger.twice() == []
    return ledger


def all_went_well(sent: Sequence[Sent], lost: Sequence[Sent] = ()) -> None:
    """Every request was answered, and every stream to its end, but the `lost` ones."""
    wrong = [one for one in sent if not one.is_well and one not in lost]
    assert not wrong, Counter(
        (one.status, one.code, bool(one.events), f"after {one.ended_s - sent[0].begun_s:.0f} s") for one in wrong
    )


def books_agree(load: Load, provider: DemoServer, ledger: Ledger, lost: Sequence[Sent] = ()) -> None:
    """Each request has its one event, which says what the provider's log says."""
    entries = by_key(provider.requests(contains=load.marker), load.marker)
    broken = {one.key for one in lost}
    wrong: list[str] = []
    for user in sorted({one.user for one in load.sent}):
        expected = [
            expected_of(one.key, Fate("success", ""), entries.get(one.key, ()), is_broken=one.key in broken)
            for one in load.sent
            if one.user == user and (one.key in entries or one.key in broken)
        ]
        wrong += mismatches(expected, ledger.events(user).get(user, []))
    assert wrong == [], "\n".join(wrong[:6] + wrong[-6:])


def limit_held(load: Load, ledger: Ledger, limit: int, lost: Sequence[Sent] = ()) -> None:
    """The users of this load were served as many requests as each may have, no more and no less, and told why not."""
    for user in {one.user for one in load.sent}:
        sent = [one for one in load.sent if one.user == user]
        served, events = sum(one.is_well for one in sent), ledger.events(user).get(user, [])
        assert sum(event.requests for event in events) == limit
        assert served <= limit <= served + sum(one in lost for one in sent)
        refused = Counter(one.code for one in sent if not one.is_well and one not in lost)
        assert set(refused) <= {"rate_limit_exceeded", "store_unavailable"}, refused
        assert refused["rate_limit_exceeded"] > 0
