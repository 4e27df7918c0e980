"""Compares the prompt estimate with real tokenizers, and measures its time: `python -m benchmarks.estimate`.

`--tokenizer NAME=PATH` adds a `tokenizer.json` to the three in LiteLLM's package.
"""

import argparse
import statistics
import time
from pathlib import Path

from benchmarks.estimate_samples import bundled_tokenizers, samples, tokenizer_from
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.estimate import estimate_prompt_tokens
from scalix.domain.tokens.text_tokens import text_tokens

PROMPT_TOKENS = 10_000
RUNS = 301


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", action="append", default=[], metavar="NAME=PATH")
    tokenizers = bundled_tokenizers()
    for argument in parser.parse_args().tokenizer:
        name, _, path = argument.partition("=")
        tokenizers[name] = tokenizer_from(Path(path))
    texts = samples()

    print(f"| sample | bytes | {' | '.join(tokenizers)} | estimate | / cl100k | / largest |")
    print("|---|" + "---:|" * (len(tokenizers) + 4))
    for name, text in texts.items():
        counts = [count(text) for count in tokenizers.values()]
        estimate = text_tokens(text)
        ratios = [f"{estimate / count:.2f}" for count in (counts[0], max(counts))]
        print(f"| {name} | {' | '.join(map(str, (len(text.encode()), *counts, estimate, *ratios)))} |")

    print(f"\n| prompt of {PROMPT_TOKENS:,} cl100k tokens | bytes | median µs |\n|---|---:|---:|")
    for name in ("english", "python", "json", "russian", "chinese", "hindi"):
        text = _of_size(texts[name], tokenizers["cl100k"](texts[name]))
        print(f"| {name}, one message | {len(text.encode())} | {_median_us({'messages': [_message(text)]}):.0f} |")
    text = _of_size(texts["english"], tokenizers["cl100k"](texts["english"]))
    pieces = [text[start : start + 400] for start in range(0, len(text), 400)]
    took_us = _median_us({"messages": list(map(_message, pieces))})
    print(f"| english, {len(pieces)} messages | {len(text)} | {took_us:.0f} |")


def _message(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _of_size(text: str, tokens: int) -> str:
    copies = PROMPT_TOKENS // tokens + 1
    return (text * copies)[: len(text) * PROMPT_TOKENS // tokens]


def _median_us(body: dict[str, object]) -> float:
    times = []
    for _ in range(RUNS):
        began = time.perf_counter_ns()
        estimate_prompt_tokens(Route.CHAT, body)
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times) / 1_000


if __name__ == "__main__":
    main()
