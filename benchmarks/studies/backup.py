"""Measures what a running backup costs the requests beside it: rounds with and without one, by turns."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.loads import LOADS
from benchmarks.measure import Contender, run_rounds
from benchmarks.peers.base import MASTER_KEY
from benchmarks.peers.gateway import LIMITED, ScalixGateway
from benchmarks.processes import PEER_CORES, ROOT, BenchmarkError
from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting

_REQUESTS = 1_500
_BESIDE, _ALONE = "beside a backup", "alone"


class BackupBeside:
    """One gateway. Backups follow each other while those requests are sent that are beside one, on the gateway's cores
    and with the least priority, as the gateway's own are."""

    name = "backup"
    title = "Requests beside a backup"
    peers: tuple[str, ...] = ()
    only_when_named = True

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        folder = setting.folder / self.name
        folder.mkdir()
        settings = {"scalix": {"backup": {"to": str(folder / "backups"), "every_hours": 0}}}
        running = ScalixGateway(self.name, settings=settings).start(folder, setting.provider_url)
        load = LOADS["not-streamed"]
        entry = next(one for one in load.entries if one.peer == "gateway" and one.body.get("user") == LIMITED)
        found: dict[str, Contender] = {
            name: load.contender(entry, name, running, _REQUESTS) for name in (_ALONE, _BESIDE)
        }
        try:
            for number in range(setting.rounds):
                for name in found if number % 2 else reversed(found):
                    if name == _ALONE:
                        run_rounds([found[name]], 1, setting.note)
                    else:
                        with _backups(folder):
                            run_rounds([found[name]], 1, setting.note)
        finally:
            running.stop()
        return _findings(found, setting.rounds)


@contextmanager
def _backups(folder: Path) -> Iterator[None]:
    """One backup after the other, until the block ends. Raises `BenchmarkError` where none was made."""
    over, made = threading.Event(), list[int]()
    command = [sys.executable, "-m", "scalix", "backup", "create", "--json"]
    pinned = ["taskset", "-c", ",".join(map(str, sorted(PEER_CORES))), "nice", "-n", "19", *command]
    own = {"SCALIX_CONFIG": str(folder / "config.yaml"), "SCALIX_STATE_DIR": str(folder / "state")}
    env = {**os.environ, **own, "LITELLM_MASTER_KEY": MASTER_KEY, "BENCH_PROVIDER_KEY": "sk-demo"}

    def work() -> None:
        while not over.is_set():
            made.append(subprocess.run(pinned, cwd=ROOT, env=env, capture_output=True, check=False).returncode)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if set(made) != {0}:
        raise BenchmarkError(f"the backups ended with {made}")


def _findings(found: dict[str, Contender], rounds: int) -> Findings:
    rows = [
        (name, *(f"{one.figure(figure).median:.1f}" for figure in ("whole_p50_ms", "whole_p99_ms", "cpu_ms")))
        for name, one in found.items()
    ]
    about = (
        f"Answers that are not streamed, as many as one worker gives; {rounds} rounds by turns, medians. "
        'Backups follow each other. `make bench ARGS="--only backup --rounds 8"` makes it anew.\n\n'
    )
    raw = {name: [asdict(turn) for turn in one.turns] for name, one in found.items()}
    return Findings(about + table(("", "p50 ms", "p99 ms", "CPU ms"), rows), raw, {})
