"""`/v1/embeddings`: vectors of unit length that depend on nothing but their dimension."""

import base64
import math
import struct
from functools import lru_cache
from typing import Any

from scalix_demo.plan import Plan
from scalix_demo.problem import BadRequestError
from scalix_demo.prompts import whole_number

DEFAULT_DIMENSIONS = 64


def embeddings_answer(plan: Plan, body: dict[str, Any]) -> dict[str, Any]:
    """One vector for each input, as floats or base64 as asked. Raises BadRequestError for a wrong parameter."""
    dimensions = whole_number(body, "dimensions", 4096) or DEFAULT_DIMENSIONS
    encoding = body.get("encoding_format") or "float"
    if encoding not in {"float", "base64"}:
        raise BadRequestError("encoding_format must be float or base64", "encoding_format")
    vector: list[float] | str = _encoded(dimensions) if encoding == "base64" else _vector(dimensions)
    count = 0 if plan.script.empty else plan.inputs
    answer: dict[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)],
        "model": plan.model,
    }
    tokens = plan.figure(plan.prompt_tokens)
    return plan.with_usage(answer, {"prompt_tokens": tokens, "total_tokens": tokens})


@lru_cache(maxsize=16)
def _vector(dimensions: int) -> list[float]:
    return [(-1.0 if index % 2 else 1.0) / math.sqrt(dimensions) for index in range(dimensions)]


@lru_cache(maxsize=16)
def _encoded(dimensions: int) -> str:
    return base64.b64encode(struct.pack(f"<{dimensions}f", *_vector(dimensions))).decode()
