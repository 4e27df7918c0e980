"""Measures how long it takes to count a prompt, and how close the count is to the models' own tokenizers."""

import asyncio
import statistics
import time

from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.families import ENCODINGS, Family, family_of
from scalix.domain.tokens.media_tokens import Media
from scalix.litellm_adapter.tokenizers import tokenizer
from scalix.service.exchange.token_counting import STEP_CHARACTERS, TokenCounting
from tests.cases.token_counts import COUNTS, TEXTS

PROMPT_TOKENS = 10_000
RUNS, QUICK_RUNS = 21, 5
LONG_CHARACTERS = 1_000_000
AT_ONCE = 8
TICK_S = 0.001


class Counting:
    """The tokenizers alone, in this process, without peers or a provider."""

    name = "counting"
    title = "Counting a prompt"
    peers: tuple[str, ...] = ()
    only_when_named = False

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        runs = QUICK_RUNS if setting.quick else RUNS
        costs = {(name, encoding): _cost_ms(name, encoding, runs) for name in TEXTS for encoding in ENCODINGS}
        rows = [(name, *(f"{costs[name, encoding]:.1f}" for encoding in ENCODINGS)) for name in TEXTS]
        text = (
            f"Milliseconds for each {PROMPT_TOKENS:,} tokens, medians of {runs} runs, in pieces of {STEP_CHARACTERS:,} "
            f"characters:\n\n{table(('prompt', *ENCODINGS), rows)}\n"
        )
        near = {model: [_counted(model, name) / COUNTS[model][name][0] for name in TEXTS] for model in COUNTS}
        rows = [
            (model, family_of(model).name, family_of(model).encoding, *(f"{value:.3f}" for value in values))
            for model, values in near.items()
        ]
        text += (
            "The count, as a multiple of what the model's own tokenizer makes of the same prompt "
            f"(`tests/cases/prompts`):\n\n{table(('model', 'family', 'counted by', *TEXTS), rows)}\n"
        )
        pauses = {name: asyncio.run(_longest_pause_ms(TEXTS[name])) for name in TEXTS}
        shown = ", ".join(f"{name} {pause:.0f} ms" for name, pause in pauses.items())
        text += (
            f"The longest pause of an event loop while {AT_ONCE} callers have a prompt of {LONG_CHARACTERS:,} "
            f"characters counted at once by OpenAI's `o200k_base`: {shown}.\n"
        )
        raw = {
            "cost_ms": {f"{name} {encoding}": cost for (name, encoding), cost in costs.items()},
            "near": near,
            "pause_ms": pauses,
        }
        return Findings(text, raw, {})


def _cost_ms(name: str, encoding: str, runs: int) -> float:
    family, text = Family("", encoding), TEXTS[name]  # type: ignore[arg-type]
    count, piece = tokenizer(), (text * (STEP_CHARACTERS // len(text) + 1))[:STEP_CHARACTERS]
    times, tokens = [], count(family.encoding, piece)
    for _ in range(runs):
        began_s = time.perf_counter()
        family.tokens(piece, count(family.encoding, piece))
        times.append(time.perf_counter() - began_s)
    return statistics.median(times) * 1_000 * PROMPT_TOKENS / tokens


def _counted(model: str, name: str) -> int:
    family = family_of(model)
    return family.tokens(TEXTS[name], tokenizer()(family.encoding, TEXTS[name]))


async def _longest_pause_ms(text: str) -> float:
    counting = TokenCounting(tokenizer())
    long = (text * (LONG_CHARACTERS // len(text) + 1))[:LONG_CHARACTERS]
    body = {"messages": [{"role": "user", "content": long}]}
    jobs = asyncio.gather(
        *(counting.size(f"u{number}", Route.CHAT, body, Media(("gpt-4o",))) for number in range(AT_ONCE))
    )
    longest_s = 0.0
    while not jobs.done():
        began_s = time.perf_counter()
        await asyncio.sleep(TICK_S)
        longest_s = max(longest_s, time.perf_counter() - began_s - TICK_S)
    await jobs
    return longest_s * 1_000
