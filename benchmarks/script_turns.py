"""Compares what admission and settlement cost the store with what they did at another commit, by turns:
`python -m benchmarks.script_turns e2a5b28 [--rounds 15]`.

Both commits' own code asks a server of its own for the same requests. What is told is the CPU time of the server's main
thread for a call, with its answer. Of a machine with other work read the lowest.
"""

import argparse
import io
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import uvloop

from benchmarks.measured_store import EIGHT_LIMITS, Bench, name_of, start_server
from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import Ask, Charge, Outcome, Prices, Receipt
from scalix.store.connection.session import StoreSession, hash_of, source_of
from scalix.store.quota.redis_quota import QuotaStore

CALLS = 1_000
TOGETHER = 50
ROUNDS = 15
NOON_MS = 20_787 * DAY_MS + DAY_MS // 2
CASES = {
    "earlier requests today": (500, [0, 0]),  # of how many users; the days before on which each has had requests
    "the first of the day": (CALLS, [1]),
    "a user's very first": (CALLS, []),
    "more than 256 today": (10, [0] * 6),
}
ASK = Ask(
    request_id="",
    subject="",
    limits=EIGHT_LIMITS,
    prompt_tokens=120,
    output_cap_tokens=2_048,
    min_output_tokens=16,
    prices=Prices(150_000, 600_000),
    user_version="0",
    tier="free",
)
CHARGE = Charge(
    Outcome.SUCCESS,
    1,
    431,
    186_600,
    detail=Detail(
        tier="free",
        model="gpt-4",
        served="gpt-4",
        provider="openai",
        prompt_tokens=120,
        completion_tokens=311,
        cost_nano_usd=186_600,
        charge_nano_usd=186_600,
        price_version="2026-11-01",
        latency_ms=900,
        first_token_ms=210,
        streamed=True,
    ),
)


class Recorded:
    """The server's client, but for scripts: those are noted as they would be sent."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def evalsha(self, *arguments: Any) -> list[Any]:
        words = [str(word).encode() for word in ("EVALSHA", *arguments)]
        self.calls.append(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
        return ["stale", *[""] * 9] if arguments[0] == hash_of("admit") else ["settled", ""]


class Served:
    """One commit's scripts, at a server of their own. Calls are made before they are timed."""

    def __init__(self, path: str, pid: int) -> None:
        self._bench = Bench(path, pid)
        self._client = Recorded(self._bench.client)
        self._now_ms = NOON_MS
        session = StoreSession(cast(Any, self._client), self._bench.keys, clock=lambda: self._now_ms)
        self._store = QuotaStore(session)
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(path)
        self._made_for = dict[str, list[tuple[list[bytes], list[bytes]]]]()
        self._made = 0
        for name in ("admit", "settle"):
            self._bench.admin.script_load(source_of(name))

    async def round(self, case: str) -> dict[str, float]:
        """µs for a call of each script."""
        if case not in self._made_for:
            users, before = CASES[case]
            days_before = [await self._calls(max(users, CALLS // 2), users, NOON_MS - days * DAY_MS) for days in before]
            self._made_for[case] = [*days_before, await self._calls(CALLS, users, NOON_MS)]
        self._bench.admin.execute_command("FLUSHALL", "SYNC")
        for admissions, settlements in self._made_for[case]:
            admitted, settled = self._send(admissions), self._send(settlements)
        return {"admit": admitted, "settle": settled}

    async def _calls(self, number: int, users: int, now_ms: int) -> tuple[list[bytes], list[bytes]]:
        """Admissions and their settlements."""
        self._now_ms, receipts, self._client.calls = now_ms, list[Receipt](), []
        for place in range(number):
            self._made += 1
            request_id, subject = f"{self._made:032x}", name_of(place % users)
            await self._store.admit(replace(ASK, request_id=request_id, subject=subject))
            receipts.append(Receipt(request_id, subject, now_ms, ASK.prompt_tokens, ASK.output_cap_tokens, True))
        admissions, self._client.calls = self._client.calls, []
        for receipt in receipts:
            await self._store.settle(receipt, CHARGE)
        return admissions, self._client.calls

    def _send(self, calls: list[bytes]) -> float:
        started = self._bench.cpu_us()
        for first in range(0, len(calls), TOGETHER):
            some = calls[first : first + TOGETHER]
            self._connection.sendall(b"".join([*some, b"*2\r\n$4\r\nECHO\r\n$4\r\nDONE\r\n"]))
            answer = b""
            while not answer.endswith(b"$4\r\nDONE\r\n"):
                answer += self._connection.recv(1 << 18)
            assert not re.search(rb"-ERR|-NOSCRIPT|refused|duplicate", answer), answer
        return (self._bench.cpu_us() - started) / len(calls)


async def serve(path: str, pid: int) -> None:
    """Answer each case that stands on a line with its figures."""
    served = Served(path, pid)
    for line in sys.stdin:
        print(json.dumps(await served.round(line.strip())), flush=True)


class Side:
    """A process with the code of one folder, and its server."""

    def __init__(self, code: Path, folder: Path) -> None:
        self._server, path = start_server(folder)
        command = [sys.executable, __file__, "--serve", path, str(self._server.pid)]
        environment = {**os.environ, "PYTHONPATH": str(code)}
        self._process = subprocess.Popen(
            command, cwd=code, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def round(self, case: str) -> dict[str, float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(case, file=self._process.stdin, flush=True)
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found

    def stop(self) -> None:
        for process in (self._process, self._server):
            process.terminate()
            process.wait()


def compare(before: Side, now: Side, rounds: int) -> None:
    for case in CASES:
        figures = defaultdict[str, list[tuple[float, float]]](list)
        for number in range(rounds + 1):
            order = [before, now] if number % 2 else [now, before]
            found = {side: side.round(case) for side in order}
            for script in found[now] if number else ():  # the first round warms up
                figures[script].append((found[before][script], found[now][script]))
        for script, pairs in figures.items():
            (low, mid), (new_low, new_mid) = ((min(one), statistics.median(one)) for one in zip(*pairs, strict=True))
            ratio = statistics.median(new / old for old, new in pairs)
            print(
                f"{script}, {case}: median {mid:.1f} to {new_mid:.1f} µs, lowest {low:.1f} to {new_low:.1f} µs,"
                f" {ratio:.3f} times",
                flush=True,
            )


def main() -> None:
    """Print a line for each script and case."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.script_turns", description=(__doc__ or "").split(":")[0]
    )
    parser.add_argument("commit", help="what the code here is compared with")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of {CALLS} calls (default {ROUNDS})")
    options = parser.parse_args()
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        archive = subprocess.run(
            ["git", "archive", options.commit, "scalix", "benchmarks"], cwd=root, check=True, capture_output=True
        )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(folder / "code", filter="data")
        sides = [Side(folder / "code", folder / "before"), Side(root, folder / "now")]
        try:
            compare(sides[0], sides[1], options.rounds)
        finally:
            for side in sides:
                side.stop()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        uvloop.run(serve(sys.argv[2], int(sys.argv[3])))
    else:
        main()
