"""Answers as JSON, JSON Lines or CSV, whichever the request asks for."""

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from scalix.domain.errors import BadRequest
from scalix.edge.asgi import JSON, Header, Scope, header

Format = Literal["json", "csv", "jsonl"]
_TYPES: dict[Format, bytes] = {
    "json": JSON,
    "csv": b"text/csv; charset=utf-8",
    "jsonl": b"application/x-ndjson",
}
_ACCEPTED: dict[str, Format] = {
    "text/csv": "csv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/json": "json",
}
_A_SLICE = 500
# A spreadsheet takes a text that begins so for a formula, which may run programs or send cells away.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


@dataclass(frozen=True, slots=True)
class Page:
    """One whole answer."""

    body: bytes
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()
    status: int = 200


def format_of(scope: Scope, query: dict[str, str], known: Sequence[Format]) -> Format:
    """The format that a request asks for: by `format`, which is taken out of the query, else by `Accept`.

    Raises `BadRequest` for a `format` that is not `known`.
    """
    named = query.pop("format", None)
    if named is not None:
        for one in known:
            if one == named:
                return one
        raise BadRequest(f"'format' must be one of: {', '.join(known)}.", param="format")
    for media_type in (header(scope, b"accept") or "").split(","):
        found = _ACCEPTED.get(media_type.partition(";")[0].strip().lower())
        if found is not None and found in known:
            return found
    return known[0]


def json_page(value: Any) -> Page:
    """One JSON document."""
    return Page(orjson.dumps(value))


async def answer_page(value: Any) -> Page:
    """The same for what may be long."""
    return Page(await json_text(value)) if isinstance(value, dict) else json_page(value)


async def json_text(value: Mapping[str, Any]) -> bytes:
    """A JSON object as text, its lists in slices: who is served beside it must not wait for all of a long one."""
    parts = list[bytes]()
    for name, one in value.items():
        parts.append(b"," if parts else b"{")
        parts.append(orjson.dumps(name) + b":")
        if not isinstance(one, list) or len(one) <= _A_SLICE:
            parts.append(orjson.dumps(one))
            continue
        for begin in range(0, len(one), _A_SLICE):
            parts += (b"," if begin else b"[", orjson.dumps(one[begin : begin + _A_SLICE])[1:-1])
            await asyncio.sleep(0)
        parts.append(b"]")
    return b"".join(parts) + b"}" if parts else b"{}"


def rows_page(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], shape: Format, headers: tuple[Header, ...] = ()
) -> Page:
    """Rows as CSV (with a first line of names) or JSON Lines."""
    body = csv_of(rows, columns) if shape == "csv" else b"".join(orjson.dumps(row) + b"\n" for row in rows)
    return Page(body, _TYPES[shape], headers)


def csv_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """CSV as RFC 4180 has it. A text that a spreadsheet would run is led by an apostrophe; numbers stay as they are."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # Without an exponent, which some spreadsheets read as text.
        return f"{value:.9f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return value
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
