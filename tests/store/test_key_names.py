"""How keys are named: by a prefix that an operator may choose, and by shards."""

import pytest

from scalix.domain.ledger.ledger import EVENT_FIELDS, EVENT_VERSION, NO_DETAIL, READ_WHOLE, last_words
from scalix.launch.problems import LaunchError
from scalix.store.connection import session
from scalix.store.keys import Keys
from scalix.wiring.environment import key_names

NOON_MS = 1_772_107_200_000  # 2026-02-26T12:00:00Z


@pytest.mark.parametrize("prefix", ["{x}", "a{", "b}"])
def test_a_prefix_with_braces_is_told_to_whoever_starts_the_gateway(prefix: str) -> None:
    with pytest.raises(LaunchError) as raised:
        key_names({"SCALIX_KEY_PREFIX": prefix})
    (problem,) = raised.value.problems
    assert "SCALIX_KEY_PREFIX" in problem.what
    assert "{" in (problem.fix or "")


def test_any_other_prefix_is_taken_as_it_is() -> None:
    assert key_names({"SCALIX_KEY_PREFIX": "mine/"}) == Keys("mine/")
    assert key_names({}) == Keys("scalix:")


def test_the_books_of_a_day_are_named_alike_by_all_who_read_and_write_them() -> None:
    keys, subject, day, month = Keys("p:"), "user:alice", NOON_MS // 86_400_000, 2026 * 12 + 1
    shard = int(keys.leases(subject).partition("{s")[2][:2], 16)
    assert keys.books(subject, NOON_MS) == [
        keys.events(subject, NOON_MS),
        keys.summaries(subject, month),
        keys.hour_sums(shard, day),
        keys.day_sums(shard, month),
        keys.ranking(shard, day, "tokens"),
        keys.ranking(shard, day, "cost"),
        keys.people(subject),
        keys.first_bytes(shard, day),
        keys.in_time(shard, day),
        keys.events_in_time(subject, day),
    ]


def test_the_scripts_know_the_words_of_an_event_by_their_places() -> None:
    places = {one.name: place for place, one in enumerate(EVENT_FIELDS, 1)}
    assert len(EVENT_FIELDS) == 23
    assert [places[name] for name in ("requests", "tokens", "nano_usd", "admitted_ms", "key_id")] == [2, 3, 4, 6, 7]
    assert [places[name] for name in ("tier", "model", "provider", "prompt_tokens")] == [8, 9, 11, 12]
    assert [places[name] for name in ("cost_nano_usd", "charge_nano_usd", "latency_ms", "error")] == [16, 17, 19, 22]
    assert "WORDS = 23" in session.source_of("sweep")
    assert f"READ_WHOLE = {READ_WHOLE}" in session.source_of("settle")
    assert last_words(NO_DETAIL).endswith(f"v{EVENT_VERSION}")
