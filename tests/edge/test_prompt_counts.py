"""When a prompt is counted, and when not: only where it makes a difference to what the caller gets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from tests.edge.gates import Answered, InProcess, in_process

LIMIT = 1_000
WORDS = "and what do you think of it " * 90  # 630 words; the estimate is above the limit
ENOUGH = {"tokens": {"day": LIMIT}}


class Edge:
    """A gate whose users have limits. `texts` are those that were counted before the provider was asked, a token for
    each word."""

    def __init__(self, edge: InProcess) -> None:
        self.edge = edge
        self.texts: list[str] = []
        self._asked = False
        edge.core.exchange.counting._tokenizer = self._count
        edge.inner.before = self._end

    async def _end(self) -> None:
        self._asked = True  # from now on it is the answer that is counted

    def _count(self, encoding: str, text: str) -> int:
        if not self._asked:
            self.texts.append(text)
        return len(text.split()) * 1_000 // 1_220  # a model of whom nobody knows

    async def ask(self, text: str, **more: Any) -> Answered:
        body = {"model": "free-small", "user": "u", "messages": [{"role": "user", "content": text}], **more}
        self._asked = False
        return await self.edge.call(body=body)


@asynccontextmanager
async def limited(folder: Path, store_url: str, limits: dict[str, Any]) -> AsyncIterator[Edge]:
    tiers = {"free": {"models": ["free-*"], **limits}}
    async with in_process(folder, store_url, guard={"tiers": tiers}) as edge:
        yield Edge(edge)


async def test_what_surely_fits_is_not_counted(tmp_path: Path, store_url: str) -> None:
    async with limited(tmp_path, store_url, ENOUGH) as edge:
        assert (await edge.ask("hello")).status == 200
        assert edge.texts == []


async def test_what_surely_does_not_fit_is_not_counted_and_the_refusal_says_at_least(
    tmp_path: Path, store_url: str
) -> None:
    async with limited(tmp_path, store_url, ENOUGH) as edge:
        refused = await edge.ask("-" * 128 * LIMIT)
        assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
        assert f"needs at least {LIMIT + 16} tokens" in refused.error["message"]
        assert edge.texts == []


async def test_what_the_estimate_would_refuse_is_counted_once_and_served(tmp_path: Path, store_url: str) -> None:
    async with limited(tmp_path, store_url, ENOUGH) as edge:
        assert (await edge.ask(WORDS)).status == 200
        assert edge.texts == [WORDS]
        assert edge.edge.inner.bodies[-1]["max_tokens"] == 100  # there is room for the whole answer


async def test_what_is_too_long_by_its_count_is_refused_by_it(tmp_path: Path, store_url: str) -> None:
    async with limited(tmp_path, store_url, ENOUGH) as edge:
        refused = await edge.ask(WORDS * 2)
        assert "needs about 13" in refused.error["message"]  # 1,260 words, and what stands around them
        assert edge.texts == [WORDS * 2]


async def test_an_answer_is_cut_short_only_by_the_count(tmp_path: Path, store_url: str) -> None:
    async with limited(tmp_path, store_url, ENOUGH) as edge:
        text = "and what do you think of it " * 125  # 875 words
        assert (await edge.ask(text)).status == 200
        (cap,) = [edge.edge.inner.bodies[-1]["max_tokens"]]
        assert LIMIT - 875 - 60 <= cap < 100


async def test_what_another_limit_refuses_is_refused_by_that_and_not_counted(tmp_path: Path, store_url: str) -> None:
    """The day resets later than the hour, so a refusal by an estimate would be the one that the caller reads."""
    async with limited(tmp_path, store_url, {**ENOUGH, "requests": {"hour": 1}}) as edge:
        assert (await edge.ask("hello")).status == 200
        refused = await edge.ask(WORDS)
        assert (refused.error["code"], refused.error["scalix"]["limit"]) == ("rate_limit_exceeded", "requests-hour")
        assert edge.texts == []


async def test_a_limit_that_only_reports_reports_by_the_count(tmp_path: Path, store_url: str) -> None:
    async with limited(tmp_path, store_url, {"tokens": {"day": {"limit": LIMIT, "enforce": False}}}) as edge:
        assert (await edge.ask(WORDS)).status == 200
        assert (await edge.ask(WORDS * 2)).status == 200
        report = await edge.edge.call("GET", "/scalix/v1/shadow")
        found = [(item["limit"], item["requests"]) for item in orjson.loads(report.body)["would_have_refused"]]
        assert found == [("any", 1), ("tokens-day", 1)]
        assert edge.texts == [WORDS, WORDS * 2]
