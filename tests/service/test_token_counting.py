"""Counting long texts keeps nobody waiting, and never leaves anything uncounted."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from scalix.domain.errors import Overloaded
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.estimate import OPENAI_FRAME
from scalix.domain.tokens.media_tokens import Media
from scalix.domain.tokens.prompt_size import PromptSize
from scalix.domain.tokens.text_tokens import text_tokens
from scalix.edge.delivered import Delivered
from scalix.service.exchange.token_counting import (
    AT_ONCE_CHARACTERS,
    MOST_JOBS,
    MOST_WAITING,
    MOST_WAITING_OF_A_SUBJECT,
    PROMPT_AT_ONCE_CHARACTERS,
    SLICE_CHARACTERS,
    STEP_CHARACTERS,
    THREADS,
    Bound,
    TokenCounting,
)

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


async def test_a_short_prompt_does_not_wait_for_the_end_of_long_ones() -> None:
    steps = threading.Semaphore(0)

    def count(encoding: str, text: str) -> int:
        return 1 if text.startswith("word") else int(steps.acquire(timeout=60))

    counting = TokenCounting(count)
    long = "x" * (3 * SLICE_CHARACTERS)
    hogs = [asyncio.create_task(size_of(counting, f"u{number}", long)) for number in range(THREADS)]
    await asyncio.sleep(0)
    short = asyncio.create_task(size_of(counting, "another", "word" * PROMPT_AT_ONCE_CHARACTERS))
    await asyncio.sleep(0)
    steps.release(THREADS * SLICE_CHARACTERS // STEP_CHARACTERS)
    assert (await short).least_tokens is None
    assert not any(hog.done() for hog in hogs)
    steps.release(THREADS * 2 * SLICE_CHARACTERS // STEP_CHARACTERS)
    assert len(await asyncio.gather(*hogs)) == THREADS


async def test_prompts_of_a_subject_are_counted_one_after_another_and_only_so_many_wait(tokenizer: Tokenizer) -> None:
    counting = TokenCounting(tokenizer)
    tasks = [asyncio.create_task(size_of(counting, "u")) for _ in range(MOST_WAITING_OF_A_SUBJECT + 1)]
    await tokenizer.runs(1)
    with pytest.raises(Overloaded, match="of your prompts are waiting to be counted"):
        await size_of(counting, "u")
    others = asyncio.create_task(size_of(counting, "another"))
    await tokenizer.runs(2)  # nobody else waits for them
    tokenizer.may_end.set()
    sizes = {size.tokens for size in await asyncio.gather(*tasks, others)}
    assert sizes == {OPENAI_FRAME.request + OPENAI_FRAME.message + 1 + 1}  # the list of messages, and the text
    assert len(tokenizer.threads) == len(tasks) + 1


async def test_who_finds_all_places_taken_is_told_to_come_again(tokenizer: Tokenizer) -> None:
    counting = TokenCounting(tokenizer)
    tasks = [asyncio.create_task(size_of(counting, f"u{number}")) for number in range(MOST_JOBS + MOST_WAITING)]
    await tokenizer.runs(THREADS)
    with pytest.raises(Overloaded, match="busy with counting"):
        await size_of(counting, "one more")
    tokenizer.may_end.set()
    assert len(await asyncio.gather(*tasks)) == MOST_JOBS + MOST_WAITING


async def test_a_prompt_is_counted_no_further_than_what_is_left() -> None:
    seen = []

    def words(encoding: str, text: str) -> int:
        seen.append(len(text))
        return len(text.split())

    counting = TokenCounting(words)
    size = await size_of(counting, "u", bound=Bound(100, 10**6))
    assert sum(seen) < AT_ONCE_CHARACTERS + STEP_CHARACTERS < len(LONG)
    assert size.tokens == 10**6
    assert size.least_tokens is not None
    assert 100 < size.least_tokens < len(LONG.split())
    seen.clear()
    assert (await size_of(counting, "u", bound=Bound(len(LONG)))).least_tokens is None
    assert sum(seen) == len(LONG)


async def test_a_prompt_counts_by_the_dearest_of_the_models_that_may_serve_it() -> None:
    def encoded(encoding: str, text: str) -> int:
        return {"o200k_base": 10, "cl100k_base": 20, "claude": 30}[encoding]

    counting = TokenCounting(encoded)
    found = [
        (await size_of(counting, "u", "a b c " * 10, models)).tokens
        for models in [("gpt-4o",), ("gpt-4o", "gpt-4"), ("gpt-4", "anthropic/claude-opus-4-8", "gpt-4o")]
    ]
    assert found[0] < found[1] < found[2]


async def size_of(
    counting: TokenCounting, subject: str, text: str = LONG, models: tuple[str, ...] = (MODEL,), **more: Any
) -> PromptSize:
    body = {"messages": [{"role": "user", "content": text}]}
    return await counting.size(subject, Route.CHAT, body, Media(models), **more)
