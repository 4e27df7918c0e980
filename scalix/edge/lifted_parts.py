"""What was taken out of a provider's answer on its way past LiteLLM, put back into LiteLLM's."""

from typing import Any

import orjson
import re2

from scalix.service.exchange.attempts import FIRST_VECTOR, Lifted

_PLACE = re2.compile(rb"\[([0-9]{16})(?:\.0)?\]")


def put_back(body: bytes, lifted: Lifted) -> bytes:
    """`body` with the vectors and log probabilities in `lifted`."""
    if lifted.vectors:
        body = _with_vectors(body, lifted.vectors)
    return _with_logprobs(body, lifted) if lifted.logprobs else body


def _with_vectors(body: bytes, vectors: list[bytes]) -> bytes:
    parts: list[bytes] = []
    end = 0
    for found in _PLACE.finditer(body):
        number = int(found[1]) - FIRST_VECTOR
        if 0 <= number < len(vectors):
            parts += [body[end : found.start()], vectors[number]]
            end = found.end()
    return b"".join([*parts, body[end:]])


def _with_logprobs(body: bytes, lifted: Lifted) -> bytes:
    answer: Any = orjson.loads(body)
    for (name, index, position), logprobs in lifted.logprobs:
        try:
            holder = answer[name][index]
            holder = holder if position is None else holder["content"][position]
            holder["logprobs"] = orjson.Fragment(logprobs)
        except (LookupError, TypeError):
            continue  # LiteLLM has made something of another format of it, which has none
    return orjson.dumps(answer)
