"""How long users wait for the first byte of an answer, as counts by bucket, from which percentiles are read.

A bucket is a tenth wider than the one before, so that a percentile is within 5 % of what all events would say.
"""

import math
from collections.abc import Mapping

from scalix.domain.ledger.ledger import Event

WITHOUT = "n"  # the bucket of events without a first byte
RESCUED = "r"  # beside the buckets: how many were answered after somebody else had failed
_WIDTH = math.log(1.1)
_SERVED = frozenset({"success", "client_cut", "client_left"})


def bucket_of(ms: int) -> int:
    """The bucket of so many milliseconds."""
    return round(math.log(max(ms, 1)) / _WIDTH)


def ms_of(bucket: int) -> int:
    """The milliseconds in the middle of a bucket."""
    return round(math.exp(bucket * _WIDTH))


def is_rescued(event: Event) -> bool:
    """Whether another model or deployment had failed before this was answered."""
    detail = event.detail
    return event.outcome in _SERVED and bool(detail.served) and bool(detail.fallbacks or detail.failed_deployments)


def first_byte_word(event: Event) -> str:
    """What is counted of an event: its bucket, and whether it was rescued."""
    first_ms = event.detail.first_token_ms
    bucket = WITHOUT if first_ms is None else str(bucket_of(first_ms))
    return f"{bucket} {RESCUED}" if is_rescued(event) else bucket


def percentile_ms(counts: Mapping[str, int], percent: int) -> int | None:
    """The time within which so many per cent of the first bytes came; `None`: there were none."""
    buckets = sorted((int(name), number) for name, number in counts.items() if name not in (WITHOUT, RESCUED))
    rank = math.ceil(sum(number for _, number in buckets) * percent / 100)
    for bucket, number in buckets:
        rank -= number
        if rank <= 0:
            return ms_of(bucket)
    return None
