"""Counting long texts keeps nobody waiting, and never leaves anything uncounted."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from scalix.domain.tokens.text_tokens import text_tokens
from scalix.edge.delivered import Delivered
from scalix.service.exchange.token_counting import AT_ONCE_CHARACTERS, MOST_JOBS, THREADS, TokenCounting

LONG = "first" + " word" * AT_ONCE_CHARACTERS
MODEL = "openai/gpt-4o"


class Tokenizer:
    """One token a text, however many the pieces of it, after `may_end`. Notes in which threads it runs."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.threads: list[str] = []
        self._began = threading.Semaphore(0)
        self._seen = 0

    def __call__(self, encoding: str, text: str) -> int:
        if text.startswith(" word"):  # a further piece
            return 0
        self.threads.append(threading.current_thread().name)
        self._began.release()
        assert not text.startswith("first") or self.may_end.wait(60)
        return 1

    async def runs(self, jobs: int) -> None:
        for _ in range(jobs - self._seen):
            await asyncio.to_thread(self._began.acquire, timeout=60)
        self._seen = jobs
        assert len(self.threads) == jobs


@pytest.fixture
def tokenizer() -> Iterator[Tokenizer]:
    tokenizer = Tokenizer()
    yield tokenizer
    tokenizer.may_end.set()


async def test_short_texts_are_counted_at_once_and_long_ones_beside_the_loop(tokenizer: Tokenizer) -> None:
    counting = TokenCounting(tokenizer)
    assert await counting.count("u", MODEL, "word") == 1
    assert tokenizer.threads == [threading.main_thread().name]
    long = asyncio.create_task(counting.count("u", MODEL, LONG))
    await tokenizer.runs(2)
    tokenizer.may_end.set()
    assert await long == 1
    assert tokenizer.threads[1].startswith("tokens")


async def test_a_subject_has_one_turn_and_the_queue_an_end(tokenizer: Tokenizer) -> None:
    counting = TokenCounting(tokenizer)
    jobs = [asyncio.create_task(counting.count(f"u{i}", MODEL, LONG)) for i in range(MOST_JOBS)]
    await tokenizer.runs(THREADS)
    assert await counting.count("u0", MODEL, LONG) == text_tokens(LONG)
    assert await counting.count("another", MODEL, LONG) == text_tokens(LONG)
    assert len(tokenizer.threads) == THREADS
    tokenizer.may_end.set()
    assert await asyncio.gather(*jobs) == [1] * MOST_JOBS
    assert await counting.count("u0", MODEL, LONG) == 1


async def test_a_job_that_nobody_waits_for_any_more_keeps_its_subjects_turn(tokenizer: Tokenizer) -> None:
    counting = TokenCounting(tokenizer)
    job = asyncio.create_task(counting.count("u", MODEL, LONG))
    await tokenizer.runs(1)
    job.cancel()
    await asyncio.wait([job])
    assert await counting.count("u", MODEL, LONG) == text_tokens(LONG)
    assert len(tokenizer.threads) == 1


async def test_what_was_delivered_is_estimated_if_its_count_is_cancelled(tokenizer: Tokenizer) -> None:
    async def count(model: str, text: str) -> int:
        if model == "slow":
            await asyncio.Event().wait()
        return 0

    delivered = Delivered("slow", count)
    task = asyncio.create_task(delivered.add_whole(b'{"choices": [{"text": "one two three"}]}'))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert await delivered.tokens() == text_tokens("one two three")
