"""The benchmarks' arithmetic. Nothing is started and no time is asserted."""

import os
from collections import Counter
from collections.abc import Callable

import pytest

from benchmarks.accounting import PAGE_BYTES, Usage, cpu_ns, parse_stat, read_stats, tree
from benchmarks.bounds import (
    _INSTALLED,
    _LIMITED,
    _OURS,
    _PACKAGES,
    _PORTKEY,
    _REDIS,
    _REFUSING,
    _ROUTING,
    bounds_text,
    shown_by_loads,
)
from benchmarks.environments import constraints
from benchmarks.generator import Answers, Request
from benchmarks.loads import LOADS
from benchmarks.loads.paced import Step
from benchmarks.measure import Contender, Summary, Turn, percentile, summarise, turn
from benchmarks.peers import PEERS
from benchmarks.processes import BenchmarkError
from benchmarks.report import load_table, placed, ratio, spread, statuses, table
from benchmarks.studies import STUDIES
from benchmarks.studies.paced import most_held, search
from benchmarks.studies.preload import _renamed, user_name
from benchmarks.texts import check_texts, stream_text
from scalix.domain.identity.subjects import Subject
from scalix.store.keys import Keys

STAT = (
    "4711 (a (odd) name) S 42 4711 4711 0 -1 4194560 9000 100 0 0 250 50 7 3 20 0 12 0 "
    "88421 1048576 300 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0"
)


def contender(label: str, *cpu_ms: float) -> Contender:
    """A row that has been measured."""
    turns = [Turn(each, 0.2, 100.0, 10.0, 20.0, 5.0, 300.0) for each in cpu_ms]
    seen = Counter({200: 10 * len(turns)})
    return Contender(label, Request(1, b""), requests=10, concurrency=2, roots=[1], seen=seen, turns=turns)


def test_a_line_of_proc_stat_is_read_though_the_name_holds_brackets_and_spaces() -> None:
    stat = parse_stat(STAT)
    assert (stat.pid, stat.program, stat.parent) == (4711, "a (odd) name", 42)
    assert (stat.cpu_ticks, stat.reaped_ticks) == (300, 10)
    assert stat.rss_bytes == 300 * PAGE_BYTES


def test_a_tree_holds_a_process_and_what_descends_from_it() -> None:
    stats = {pid: parse_stat(STAT.replace("4711 (", f"{pid} (", 1).replace(") S 42", f") S {parent}"))
             for pid, parent in ((1, 0), (2, 1), (3, 2), (4, 1), (5, 9))}  # fmt: skip
    assert {stat.pid for stat in tree(1, stats)} == {1, 2, 3, 4}
    assert [stat.pid for stat in tree(5, stats)] == [5]
    assert tree(6, stats) == []


def test_this_process_is_seen_with_cpu_time_that_grows() -> None:
    me = read_stats()[os.getpid()]
    before = cpu_ns(me)
    sum(range(200_000))
    assert cpu_ns(me) > before


def test_a_turn_is_counted_by_answers_not_by_what_was_asked_for() -> None:
    answers = Answers(Counter({200: 3, 503: 1}), [1_000_000] * 4, [2_000_000, 4_000_000, 6_000_000, 8_000_000])
    answers.wall_s = 0.5
    used = Usage(48_000_000, 2_000_000, 50 * 2**20).since(Usage(8_000_000, 0, 1))
    figures = turn(answers, used)
    assert (figures.cpu_ms, figures.store_cpu_ms, figures.requests_per_s) == (10.0, 0.5, 8.0)
    assert (figures.whole_p50_ms, figures.whole_p99_ms, figures.rss_mib) == (4.0, 8.0, 50.0)


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 5), (90, 9), (99, 10), (100, 10)])
def test_percentiles_are_values_that_were_seen(percent: int, value: int) -> None:
    assert percentile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], percent) == value


def test_a_summary_is_the_median_and_the_ends() -> None:
    assert summarise([3.0, 1.0, 9.0, 2.0]) == Summary(2.5, 1.0, 9.0)
    with pytest.raises(ValueError, match="nothing"):
        summarise([])


def test_a_ratio_is_taken_round_by_round_so_that_a_slow_machine_is_slow_for_both() -> None:
    fast, base = contender("fast", 1.0, 3.0, 1.0), contender("base", 2.0, 6.0, 2.0)
    assert fast.cpu_ratio(base) == 0.5


def test_small_ratios_are_written_as_fractions() -> None:
    assert [ratio(value) for value in (1.0, 0.123, 0.02)] == ["1.00", "0.12", "1/50"]
    assert spread(Summary(1.23456, 1.0, 2.0), 2) == "1.23 (1.00 to 2.00)"


def test_unusual_statuses_are_shown_with_their_number() -> None:
    assert statuses(Counter({200: 99, 503: 1})) == ["200", "503 (1)"]


def test_a_load_becomes_a_markdown_table() -> None:
    base = contender("stock", 10.0, 12.0, 11.0)
    lines = load_table([base, contender("ours", 0.1, 0.3, 0.2)], base).splitlines()
    assert lines[0].startswith("|  | CPU ms/request | × baseline |")
    assert lines[2] == "| stock | 11.00 (10.00 to 12.00) | 1.00 | 0.200 | 100 | 10.0 | 20.0 | 300 | 200 |"
    assert lines[3].startswith("| ours | 0.200 (0.100 to 0.300) | 1/55 |")
    assert table(("", "n"), [("a", "1")]) == "|  | n |\n| --- | ---: |\n| a | 1 |\n"


def test_a_table_takes_the_place_of_the_one_before_and_leaves_the_rest_of_the_page() -> None:
    page = placed("# Performance\n\nwords\n", "burst", "first")
    page = placed(page + "\nmore words\n", "burst", r"second \1")
    assert "first" not in page
    assert r"second \1" in page
    assert page.startswith("# Performance\n\nwords\n")
    assert page.endswith("\nmore words\n")


def test_pins_keep_their_markers_and_lose_their_hashes() -> None:
    lock = (
        "# a comment\nnumpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:00 \\\nredis[hiredis]==8.1.0\n"
    )
    assert constraints(lock) == ["numpy==2.4.6 ; python_full_version < '3.12'", "redis[hiredis]==8.1.0"]


def test_a_request_is_built_once_with_its_length() -> None:
    raw = Request.build(8080, "POST", "/v1/x", {"authorization": "Bearer k"}, {"a": 1}).raw
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n")
    assert b"content-length: 7" in head
    assert body == b'{"a":1}'


def test_every_load_names_peers_that_exist_and_its_own_baseline() -> None:
    for load in LOADS.values():
        peers = [entry.peer for entry in load.entries]
        assert load.baseline in peers
        assert set(peers) <= set(PEERS)


def held(*numbers: int) -> Callable[[int], Step]:
    """A peer that holds up to `numbers[0]` streams."""

    def measure(streams: int) -> Step:
        return Step(streams, 100.0 if streams <= numbers[0] else 300.0, 50.0, 500.0, 0.5, 1.0, 0)

    return measure


@pytest.mark.parametrize("most", [1, 3, 17, 20, 21, 60, 97, 400])
@pytest.mark.parametrize("guess", [20, 96])
def test_the_search_for_paced_streams_encloses_the_most_that_are_held(most: int, guess: int) -> None:
    steps = search(held(most), guess, 1.1, most_steps=30)
    found = most_held(steps)
    assert found <= most <= max(found + 1, found * 1.1)
    assert len(search(held(most), guess, 1.1, most_steps=4)) <= 4


def test_nothing_held_is_nothing_found() -> None:
    assert most_held(search(held(0), 20, 1.1, most_steps=30)) == 0


def test_requests_of_a_circle_are_sent_in_turn() -> None:
    one, two, three = (Request(80, raw) for raw in (b"1", b"2", b"3"))
    circle = Request.circle([one, two, three])
    assert [circle.number(index) for index in range(5)] == [b"1", b"2", b"3", b"1", b"2"]
    assert Request(80, b"x").number(7) == b"x"


STREAM = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"a b"}}]}\n\ndata: {"choices":[],"usage":{}}\n\ndata: [DONE]\n\n'
)


def test_a_text_that_is_not_the_providers_ends_the_run() -> None:
    assert stream_text(STREAM) == "a b"
    check_texts("ours", [STREAM], "a b")
    with pytest.raises(BenchmarkError, match="the first difference at 2"):
        check_texts("ours", [STREAM, STREAM.replace(b"a b", b"a c")], "a b")
    with pytest.raises(BenchmarkError, match="broken event"):
        check_texts("ours", [STREAM.replace(b'"a b"', b'"a b')], "a b")


def test_every_bound_that_was_shown_is_judged() -> None:
    turns = [{"cpu_ms": 2.0, "requests_per_s": 100.0}, {"cpu_ms": 2.2, "requests_per_s": 90.0}]
    faster = [{"cpu_ms": 1.0, "requests_per_s": 200.0}, {"cpu_ms": 1.1, "requests_per_s": 180.0}]
    kept = {
        "not-streamed": {"this gateway, limited user": faster, "LiteLLM as installed": turns},
        "refused-401": {"LiteLLM with prisma, opentelemetry-sdk, httptools": turns, "this gateway": faster},
    }
    shown = shown_by_loads(kept)
    assert shown == {"over_installed": 2.0, "refused_401_ms": 1.05, "refused_401_times": 2.0}
    lines = bounds_text({**shown, "burst": 0.125, "memory_growth": 0.049}).splitlines()
    assert "| at least 1.5 × the throughput of stock as installed | 2.00 × | yes |" in lines
    assert "| 401: at least 30 × cheaper than stock's | 2.0 × | **no** |" in lines
    assert "| burst stream: at most 1/40 of stock's CPU | 1/8.0 | **no** |" in lines


def test_the_titles_that_bounds_are_read_by_are_those_of_the_tables() -> None:
    titles = {peer.title for peer in PEERS.values()}
    assert {_PACKAGES, _INSTALLED, _REDIS, _ROUTING, _REFUSING, _OURS, _PORTKEY} <= titles
    rows = {f"{PEERS[entry.peer].title}, {entry.what}" for entry in LOADS["not-streamed"].entries}
    assert _LIMITED in rows


def test_every_study_names_peers_that_exist() -> None:
    for name, study in STUDIES.items():
        assert name == study.name
        assert set(study.peers) <= set(PEERS)
    assert not set(STUDIES) & set(LOADS)


def test_a_copied_user_has_keys_of_its_own_in_its_own_shard() -> None:
    keys = Keys("scalix:")
    template, name = str(Subject("user", "known-example")), str(Subject("user", user_name(7)))
    assert _renamed(keys.windows(template).encode(), "known-example", user_name(7)) == keys.windows(name).encode()
    assert _renamed(keys.events(template, 1).encode(), "known-example", user_name(7)) == keys.events(name, 1).encode()
