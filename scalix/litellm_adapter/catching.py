"""Catches requests to providers where they would leave the process."""

from contextvars import ContextVar

import httpx

CATCHING: ContextVar[bool] = ContextVar("scalix_catching", default=False)
"""Whether the running task wants its requests caught, and none sent."""


class Caught(BaseException):
    """A request that was about to leave. No handler of LiteLLM's takes a `BaseException` for a failed call."""

    def __init__(self, request: httpx.Request) -> None:
        self.request = request
