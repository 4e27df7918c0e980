"""Parts of a provider's answer that LiteLLM only passes on, taken out before it and put back behind it.

LiteLLM takes 3 µs for each figure of a vector, and 5 µs for each field of an object, with everybody waiting: 10 s for
what OpenAI embeds at once.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson

from scalix.litellm_adapter.wire import Came
from scalix.service.answers.value_counts import MOST_VALUES, check_values, has_more_values, too_many
from scalix.service.exchange.attempts import Lifted
from scalix.service.exchange.exchanges import Exchange

MOST_PARSED_BYTES = 12 * 1024 * 1024  # of an answer with log probabilities: 20 of each of 12,000 tokens
_LEAST_VECTOR_BYTES = 256
_OF_NUMBERS = b"0123456789+-.eE, \t\r\n"
_AT_ONCE_BYTES = 1024 * 1024


def lightened(body: bytes, lifted: Lifted | None) -> bytes:
    """An answer without the log probabilities of its tokens, which go into `lifted`, if there is one. Raises
    `AnswerTooLarge` for one that holds more than `MOST_VALUES` beside them."""
    if not has_more_values(body, MOST_VALUES):
        return body
    if b'"logprobs"' not in body or len(body) > MOST_PARSED_BYTES:
        check_values(body)
    with _no_collection():
        answer = _parsed(body)
        if answer is None:
            return body  # LiteLLM can't read it either
        kept = Lifted() if lifted is None else lifted
        for path, holder in _holders(answer):
            if isinstance(holder.get("logprobs"), dict | list):
                kept.logprobs.append((path, orjson.dumps(holder["logprobs"])))
                holder["logprobs"] = None if path[0] == "choices" else []
        light = orjson.dumps(answer)
        del answer
    check_values(light)
    return body if lifted is None else light


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's collector would walk what is parsed again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def without_vectors(response: Came, lifted: Lifted) -> httpx.Response:
    """The answer to texts that were embedded, with the number of a vector in each vector's place. Raises
    `AnswerTooLarge` for one that holds more than `MOST_VALUES` beside them."""
    whole = await response.aread()
    if whole.count(b"[") > MOST_VALUES:
        raise too_many()
    pieces = whole.split(b"[")
    size = 0
    for index in range(1 if pieces[0].strip() else 2, len(pieces)):
        piece = pieces[index]
        end = piece.find(b"]")
        if end < _LEAST_VECTOR_BYTES or piece[:end].translate(None, _OF_NUMBERS):
            continue
        vector = b"[" + piece[:end] + b"]"
        if _parsed(vector) is not None:
            pieces[index] = lifted.place(vector) + piece[end:]
        size += end
        if size > _AT_ONCE_BYTES:
            size = 0
            await asyncio.sleep(0)
    headers = [
        item for item in response.headers.multi_items() if item[0] not in ("content-length", "transfer-encoding")
    ]
    body = b"[".join(pieces)
    check_values(body)
    return httpx.Response(response.status_code, headers=headers, content=body)


def lifted_of(exchange: Exchange) -> Lifted | None:
    """Where parts of the answer go that are taken out; `None` where LiteLLM's cache would keep it without them."""
    import litellm

    return exchange.attempt.lifted if litellm.cache is None else None


def _holders(answer: Any) -> list[tuple[tuple[str, int, int | None], dict[str, Any]]]:
    """Where log probabilities may stand, in the formats that LiteLLM passes on as they are."""
    found: list[tuple[tuple[str, int, int | None], dict[str, Any]]] = []
    for name in ("choices", "output"):
        items = answer.get(name) if isinstance(answer, dict) else None
        for index, item in enumerate(items if isinstance(items, list) else ()):
            if name == "choices" and isinstance(item, dict):
                found.append(((name, index, None), item))
            parts = item.get("content") if name == "output" and isinstance(item, dict) else None
            for position, part in enumerate(parts if isinstance(parts, list) else ()):
                if isinstance(part, dict):
                    found.append(((name, index, position), part))
    return found


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
