"""A flood of wrong tokens: bounded memory, little work, and nobody else waits."""

import gc
import ipaddress
import tracemalloc
from pathlib import Path

import psutil
import pytest

from tests.edge.gates import InProcess, in_process
from tests.edge.work import calls_of

MOST_GROWTH_BYTES = 12 * 1024 * 1024
# 153 are counted, those of this test's client among them.
MOST_CALLS = 155


async def flood(edge: InProcess, tokens: int, offset: int = 0) -> None:
    """Wrong tokens of several kinds, each from an address of its own, so that none is delayed."""
    for number in range(offset, offset + tokens):
        kinds = (f"sk-wrong-{number}", f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.{number}", "x" * 200 + str(number))
        address = str(ipaddress.IPv6Address((0x20010DB8 << 96) + (number << 64) + 1))
        answered = await edge.call(key=kinds[number % 3], address=address, body=b"{}")
        assert answered.status == 401


async def test_twenty_thousand_wrong_tokens_leave_little_behind(tmp_path: Path, store_url: str) -> None:
    async with in_process(tmp_path, store_url) as edge:
        await flood(edge, 10_000)  # fills what is bounded by number
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await flood(edge, 10_000, 10_000)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < MOST_GROWTH_BYTES
        assert (await edge.chat()).status == 200


@pytest.mark.soak
async def test_a_million_wrong_tokens_leave_little_behind(tmp_path: Path, store_url: str) -> None:
    process = psutil.Process()
    async with in_process(tmp_path, store_url) as edge:
        await flood(edge, 50_000)
        gc.collect()
        before = process.memory_info().rss
        await flood(edge, 950_000, 50_000)
        gc.collect()
        # Tracing every allocation would take hours: here the process as a whole is weighed.
        assert process.memory_info().rss - before < 2 * MOST_GROWTH_BYTES
        assert (await edge.chat()).status == 200


async def test_a_wrong_credential_is_little_work(tmp_path: Path, store_url: str) -> None:
    async with in_process(tmp_path, store_url) as edge:
        await flood(edge, 200)
        calls = await calls_of(lambda: flood(edge, 150, 1_000)) / 150
        assert calls < MOST_CALLS, calls
