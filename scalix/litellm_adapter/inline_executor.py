"""Runs what prepares a call to a provider where it stands. LiteLLM sends each through a thread and back.

LiteLLM's `acompletion` calls `completion` in the loop's executor because some providers' preparation blocks, for a
token or an image from the network. For OpenAI's format it checks and arranges parameters, and returns a coroutine.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Providers whose preparation has been read (LiteLLM 1.106.2) and waits for nothing.
_INLINE_PROVIDERS = frozenset({"openai"})


class InlineExecutor(ThreadPoolExecutor):
    """A thread pool that has no thread for `prepare`, LiteLLM's function, where that does not block."""

    def __init__(self, prepare: Callable[..., Any]) -> None:
        super().__init__()
        self._prepare = prepare

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if not (isinstance(fn, partial) and self._may_run_here(fn)):
            return super().submit(fn, *args, **kwargs)
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def _may_run_here(self, fn: "partial[Any]") -> bool:
        """`fn` is `partial(context.run, partial(completion, **call))` for what this is about."""
        inner = fn.args[0] if fn.args else None
        if not isinstance(inner, partial) or inner.func is not self._prepare:
            return False
        call = inner.keywords
        provider = call.get("custom_llm_provider") or str(call.get("model")).partition("/")[0]
        # A mock answer may be told to take its time.
        return provider in _INLINE_PROVIDERS and not call.get("mock_response") and call.get("acompletion") is True


async def prepare_calls_inline() -> None:
    """Call it on the loop that serves."""
    # What `litellm.completion` names is another function, around this one.
    from litellm.main import completion

    asyncio.get_running_loop().set_default_executor(InlineExecutor(completion))
