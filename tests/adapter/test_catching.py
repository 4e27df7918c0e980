"""Requests are caught while one is built, and not after that."""

import asyncio

from scalix.litellm_adapter.catching import CATCHING, Build, is_caught


async def test_what_was_begun_by_a_build_is_not_caught_after_it() -> None:
    caught: list[bool] = []
    may_ask = asyncio.Event()

    async def ask_later() -> None:
        await may_ask.wait()
        caught.append(is_caught())

    build = Build()
    token = CATCHING.set(build)
    caught.append(is_caught())
    task = asyncio.create_task(ask_later())
    build.is_under_way = False
    CATCHING.reset(token)
    may_ask.set()
    await task
    assert caught == [True, False]
