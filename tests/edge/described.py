"""What the OpenAPI description says of bodies and answers, and which of it some answers have shown."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import jsonschema

from tools.route_docs import openapi

_openapi = cache(openapi)


def body_schema(method: str, path: str) -> dict[str, Any]:
    body: dict[str, Any] = _openapi()["paths"][path][method.lower()]["requestBody"]
    return dict(body["content"]["application/json"]["schema"])


def answer_schema(method: str, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = _openapi()["paths"][path][method.lower()]["responses"]["200"]
    return dict(answer["content"]["application/json"]["schema"])


def check_answer(method: str, path: str, answer: Any) -> None:
    """Fails for an answer that is not as it is described."""
    jsonschema.validate(answer, answer_schema(method, path))


def unseen(schema: dict[str, Any], values: Sequence[Any], at: str = "") -> Iterator[str]:
    """The fields that a description demands and that are in none of `values`, as where a list was always empty."""
    kinds = [one for one in schema.get("anyOf", [schema]) if "properties" in one]
    fitting = [(one, [value for value in values if _fits(one, value)]) for one in kinds]
    for one, objects in [pair for pair in fitting if pair[1]] or fitting:
        for name, field in one["properties"].items():
            found = [value[name] for value in objects if name in value]
            if found:
                yield from unseen(field, found, f"{at}.{name}")
            elif name in one.get("required", ()):
                yield f"{at}.{name}"
    for one in schema.get("anyOf", [schema]):
        if "items" in one:
            yield from unseen(one["items"], [item for value in values for item in value or ()], at)


def _fits(schema: dict[str, Any], value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and value.keys() <= schema["properties"].keys()
