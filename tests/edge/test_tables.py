"""Answers of any length as JSON: the same text as in one piece, and others are let in meanwhile."""

import asyncio
from typing import Any

import orjson
import pytest

from scalix.edge.tables import json_text


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1_000, 1_003])
async def test_a_list_in_slices_is_the_text_that_it_is_in_one_piece(count: int) -> None:
    value: dict[str, Any] = {"a": 1, "rows": [{"id": number, "ä": None} for number in range(count)], "z": [[], {}]}
    assert await json_text(value) == orjson.dumps(value)
    assert await json_text({}) == b"{}"


async def test_while_a_hundred_thousand_rows_are_written_others_are_let_in() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    beside = asyncio.create_task(other())
    rows = [{"id": number, "outcome": "success", "tokens": 7} for number in range(100_000)]
    text = await json_text({"events": rows})
    beside.cancel()
    assert orjson.loads(text)["events"] == rows
    assert turns >= 100
