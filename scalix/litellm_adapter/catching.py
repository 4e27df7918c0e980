"""Catches requests to providers where they would leave the process."""

from contextvars import ContextVar

import httpx


class Build:
    """A request that is being built. What LiteLLM begins meanwhile, and what runs on after it, is its own affair."""

    def __init__(self) -> None:
        self.is_under_way = True


CATCHING: ContextVar[Build | None] = ContextVar("scalix_catching", default=None)
"""The build whose request is to be caught, and not sent."""


def is_caught() -> bool:
    """Whether a request that is about to leave is to be caught."""
    build = CATCHING.get()
    return build is not None and build.is_under_way


class Caught(BaseException):
    """A request that was about to leave. No handler of LiteLLM's takes a `BaseException` for a failed call."""

    def __init__(self, request: httpx.Request) -> None:
        self.request = request
