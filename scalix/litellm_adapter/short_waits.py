"""A request does not wait long to be tried again: LiteLLM keeps it, and its slot, for up to a minute."""

from collections.abc import Callable
from typing import Any

from scalix.domain.fallbacks import LONGEST_RETRY_WAIT_S
from scalix.litellm_adapter.seam_checks import replace
from scalix.service.exchange.exchanges import CURRENT


def bound_waits() -> None:
    """Let a retry that would have to wait for longer be the client's."""
    replace("litellm.router:Router._time_to_sleep_before_retry", _bounded)


def _bounded(own: Callable[..., float]) -> Callable[..., float]:
    def wait_s(self: Any, e: Exception, *args: Any, **options: Any) -> float:
        exchange = CURRENT.get()
        failure = exchange.attempt.seen.error if exchange is not None else None
        found_s = own(self, e, *args, **options)
        # Beyond a minute LiteLLM takes no notice of what its provider asks.
        asked_s = failure.retry_after_s or 0 if failure is not None else 0
        if max(found_s, asked_s) > LONGEST_RETRY_WAIT_S:
            raise e
        return found_s

    return wait_s
