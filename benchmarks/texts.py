"""Checks that the text of a stream is the provider's, byte for byte."""

import json
import urllib.request
from collections.abc import Iterable
from typing import Any

import orjson

from benchmarks.processes import BenchmarkError


def stream_text(body: bytes) -> str:
    """The text of all deltas of an OpenAI-format stream, put together. Raises ValueError for a broken event."""
    parts: list[str] = []
    for line in body.splitlines():
        if line.startswith(b"data: {"):
            for choice in orjson.loads(line[6:]).get("choices") or ():
                parts.append((choice.get("delta") or {}).get("content") or "")
    return "".join(parts)


def check_texts(label: str, bodies: Iterable[bytes], expected: str) -> None:
    """Raises `BenchmarkError` if the text of a whole stream differs from `expected`."""
    for number, body in enumerate(bodies):
        if not body.rstrip().endswith(b"data: [DONE]"):
            continue  # counted as a stream without an end
        try:
            text = stream_text(body)
        except ValueError as error:
            raise BenchmarkError(f"{label}: stream {number} holds a broken event: {error}") from None
        if text != expected:
            at = next((i for i, (a, b) in enumerate(zip(text, expected, strict=False)) if a != b), len(expected))
            raise BenchmarkError(
                f"{label}: the text of stream {number} is not the provider's: {len(text)} characters for "
                f"{len(expected)}, the first difference at {at}"
            )


def provider_text(provider_url: str, body: dict[str, Any]) -> str:
    """The text that the provider streams for `body` when it is asked directly."""
    headers = {"authorization": "Bearer sk-demo", "content-type": "application/json"}
    request = urllib.request.Request(f"{provider_url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return stream_text(answer.read())
