"""Runs the benchmarks side by side and writes their tables into docs/performance.md: `make bench`."""

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.bounds import bounds_text, shown_by_loads
from benchmarks.loads import LOADS
from benchmarks.loads.base import Load
from benchmarks.measure import Contender, run_rounds
from benchmarks.peers import PEERS
from benchmarks.peers.base import Running
from benchmarks.processes import (
    OTHER_CORES,
    PEER_CORES,
    ROOT,
    BenchmarkError,
    cache_folder,
    start_provider,
    stop,
)
from benchmarks.report import load_table, placed
from benchmarks.studies import STUDIES
from benchmarks.studies.base import Setting, Study
from benchmarks.texts import provider_text
from scalix.launch.problems import LaunchError

PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"
ROUNDS, QUICK_ROUNDS = 5, 2


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 2 if a benchmark could not be run."""
    options = _parser().parse_args(arguments)
    chosen = options.only or [*LOADS, *(name for name, study in STUDIES.items() if not study.only_when_named)]
    loads = [LOADS[name] for name in LOADS if name in chosen]
    studies = [STUDIES[name] for name in STUDIES if name in chosen]
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    os.sched_setaffinity(0, OTHER_CORES)
    try:
        with _alone(), _run_folder() as folder:
            with _peers(_names(loads, studies, options.peers), folder) as (running, url):
                for load in loads:
                    requests = options.requests or (load.quick_requests if options.quick else load.requests)
                    _run(load, running, url, rounds, requests, write=not options.dry)
                for study in studies:
                    setting = Setting(running, folder, url, rounds, options.quick, _say)
                    _study(study, setting, write=not options.dry)
            _bounds(write=not options.dry)
    except (BenchmarkError, LaunchError) as error:
        _say(f"benchmarks: {error}")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    names = [*LOADS, *STUDIES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, metavar="PART", help=f"of: {', '.join(names)}")
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), metavar="PEER", help=f"of: {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, help=f"measurements of each peer (default {ROUNDS})")
    parser.add_argument("--requests", type=int, help="requests in each measurement (default: each load's own number)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds of fewer requests")
    parser.add_argument("--dry", action="store_true", help="leave docs/performance.md as it is")
    return parser


def _names(loads: list[Load], studies: list[Study], chosen: list[str] | None) -> list[str]:
    needed = {entry.peer for load in loads for entry in load.entries} | {peer for one in studies for peer in one.peers}
    return [name for name in PEERS if name in needed and (not chosen or name in chosen)]


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One benchmark at a time: two would measure each other."""
    with (cache_folder() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another benchmark to end …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _run_folder() -> Iterator[Path]:
    """A folder for configs, logs and state; it is kept if the run fails."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=cache_folder()))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _peers(names: list[str], folder: Path) -> Iterator[tuple[dict[str, Running], str]]:
    """Start the peers that are available here. Yields them and the provider's URL. They all run at the same
    time, but only the one whose turn it is has work."""
    with contextlib.ExitStack() as stack:
        provider, url = start_provider(folder)
        stack.callback(stop, provider)
        running = {}
        for name in names:
            peer, place = PEERS[name], folder / name
            place.mkdir()
            try:
                _say(f"starting {peer.title} …")
                peer.install()
            except BenchmarkError as error:
                _say(f"  left out: {error}")
                continue
            running[name] = peer.start(place, url)
            stack.callback(running[name].stop)
        yield running, url


def _run(
    load: Load, running: dict[str, Running], provider_url: str, rounds: int, requests: int, *, write: bool
) -> None:
    _say(f"{load.title}: {rounds} rounds of {requests} requests")
    contenders, baseline = [], None
    for entry in load.entries:
        if entry.peer in running:
            text = provider_text(provider_url, load.body("gpt-4o-mini", entry)) if load.streamed else None
            contender = load.contender(entry, PEERS[entry.peer].title, running[entry.peer], requests, text)
            contenders.append(contender)
            if entry.peer == load.baseline:
                baseline = contender
    if not contenders:
        return
    run_rounds(contenders, rounds, _say)
    text = (
        f"### {load.title}\n\n{load.about} {_circumstances(rounds, contenders)}\n\n{load_table(contenders, baseline)}"
    )
    values = {contender.label: [asdict(turn) for turn in contender.turns] for contender in contenders}
    _keep(load.name, values, write=write)
    _place(load.name, text, write=write)


def _study(study: Study, setting: Setting, *, write: bool) -> None:
    _say(f"{study.title} …")
    missing = [PEERS[name].title for name in study.peers if name not in setting.running]
    if missing:
        _say(f"  left out: {', '.join(missing)} not running")
        return
    findings = study.run(setting)
    _keep(study.name, {"shown": findings.shown, "measured": findings.raw}, write=write)
    _place(study.name, f"### {study.title}\n\n{findings.text}\n{_machine()}", write=write)


def _bounds(*, write: bool) -> None:
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    studied = {name: value for study in STUDIES if study in kept for name, value in kept[study]["shown"].items()}
    _place("bounds", bounds_text(shown_by_loads(kept) | studied), write=write)


def _place(name: str, text: str, *, write: bool) -> None:
    print(text, flush=True)
    if write:
        PAGE.parent.mkdir(exist_ok=True)
        before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Performance\n"
        PAGE.write_text(placed(before, name, text), encoding="utf-8")


def _circumstances(rounds: int, contenders: list[Contender]) -> str:
    counts = sorted({contender.requests for contender in contenders}, reverse=True)
    pinned = "a core of its own" if PEER_CORES != OTHER_CORES else "the only core, shared with the load"
    return (
        f"{rounds} rounds of {' or '.join(map(str, counts))} requests, {contenders[0].concurrency} at a time, "
        f"the peer on {pinned}; {_machine()}"
    )


def _machine() -> str:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{_processor()}, Linux {platform.release()}, Python {platform.python_version()}; {now}."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _keep(name: str, values: Any, *, write: bool) -> None:
    if write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
