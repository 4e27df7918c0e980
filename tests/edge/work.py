"""How much work something is, as the number of Python functions that it calls: the same on any machine, busy or not."""

import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any


async def calls_of(action: Callable[[], Awaitable[Any]]) -> int:
    """The calls of Python functions in this thread while `action` runs."""
    count = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        await action()
    finally:
        sys.setprofile(before)
    return count
