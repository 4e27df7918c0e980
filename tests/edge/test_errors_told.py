"""Each error that a client is told is counted by its code, once, whether the request was admitted before or not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.edge.fallback_rig import Asked, Behaviour, Edge, break_off, crash, edge, fail, serve, untranslatable


@pytest.fixture
async def one(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[Edge]:
    async with edge(tmp_path, store_url, key_prefix) as made:
        yield made


def told(one: Edge) -> dict[str, float]:
    head = 'scalix_refusals_total{code="'
    cells = one.core.usage.meters.cells.read()
    return {name.removeprefix(head)[:-2]: value for name, value in cells.items() if name.startswith(head)}


async def leave(asked: Asked) -> None:
    """Its client goes when the provider has failed."""
    await fail(500)(asked)
    asked.exchange.client_left = True


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (untranslatable, "internal_error"),
        (crash, "provider_unavailable"),
        (fail(500), "provider_unavailable"),
        (fail(400, "no"), "provider_refused"),
    ],
)
async def test_an_error_of_an_admitted_request_is_counted(one: Edge, behaviour: Behaviour, code: str) -> None:
    one.app.behaviours["alone"] = [behaviour]
    assert (await one.ask("alone")).json()["error"]["code"] == code
    assert told(one) == {code: 1}


async def test_the_error_at_the_end_of_a_stream_is_counted(one: Edge) -> None:
    one.app.behaviours["alone"] = [break_off]
    assert "provider_unavailable" in (await one.ask("alone", stream=True)).text
    assert told(one) == {"provider_unavailable": 1}


async def test_a_refusal_is_counted_once(one: Edge) -> None:
    assert (await one.ask("nowhere")).status_code == 404
    assert told(one) == {"model_not_found": 1}


async def test_what_nobody_is_told_is_not_counted(one: Edge) -> None:
    one.app.behaviours = {"free-one": [fail(500), serve], "alone": [leave]}
    assert (await one.ask()).status_code == 200
    await one.ask("alone")
    assert told(one) == {}
