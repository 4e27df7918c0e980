"""What requests may be like, for the tests against the model."""

from hypothesis import strategies as st

from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.key_limits import KeyLimit, KeyScope, KeyWindow
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Charge, Outcome, Prices
from tests.store.stores import NOON_MS

SUBJECTS = ("user:ann", "user:b{o}b", "address:2001:db8::/64")
some_limits = st.builds(
    Limits,
    st.lists(
        st.builds(
            Limit,
            st.sampled_from(Metric),
            st.sampled_from(Window),
            st.sampled_from([0, 1, 3, 60, 200, 1_000, 5_000, 123_456, 2**40]),
            st.sampled_from([True, True, True, False]),
        ),
        max_size=8,
    ).map(tuple),
    st.sampled_from([None, None, 0, 1, 3]),
    st.booleans(),
)
HOUR_MS = 3_600_000
PERIODS_MS = {"k1": 0, "k2": HOUR_MS, "k3": 26 * HOUR_MS}


@st.composite
def some_scopes(draw: st.DrawFn) -> KeyScope:
    """A key of `ann`, with limits that need not be those of its record."""
    key_id, period_ms = draw(st.sampled_from(sorted(PERIODS_MS.items())))
    windows = [KeyWindow.MINUTE, KeyWindow.TOTAL, *([KeyWindow.BUDGET] if period_ms else [])]
    limit = st.builds(
        KeyLimit,
        st.sampled_from(Metric),
        st.sampled_from(windows),
        st.sampled_from([0, 1, 3, 60, 200, 5_000, 123_456, 2**40]),
    )
    return KeyScope(
        key_id=key_id,
        version=None,
        limits=tuple(draw(st.lists(limit, max_size=4))),
        concurrent=draw(st.sampled_from([None, None, 1, 3])),
        budget_anchor_ms=NOON_MS - 7 * HOUR_MS,
        budget_period_ms=period_ms,
    )


some_prices = st.builds(
    Prices, st.sampled_from([150_000, 18_751, 0]), st.sampled_from([600_000, 75_001, 0]), st.sampled_from([7, 0])
)
some_details = st.builds(
    Detail,
    tier=st.sampled_from(["", "free", "pro"]),
    model=st.sampled_from(["gpt-4", "free gemini, flash"]),
    served=st.sampled_from(["", "gpt-4", "-"]),
    provider=st.sampled_from(["", "openai"]),
    prompt_tokens=st.integers(0, 100),
    completion_tokens=st.integers(0, 10**9),
    cached_tokens=st.integers(0, 9),
    reasoning_tokens=st.integers(0, 9),
    cost_nano_usd=st.sampled_from([0, 1, 10**12]),
    charge_nano_usd=st.sampled_from([0, 0, 777, 123_456_789]),
    price_version=st.sampled_from(["", "2026-11-01"]),
    latency_ms=st.integers(0, 10**6),
    first_token_ms=st.sampled_from([None, 0, 99]),
    streamed=st.booleans(),
    cache_hit=st.booleans(),
    error=st.sampled_from(["", "timeout"]),
    fallbacks=st.sampled_from([(), ("a", "b c")]),
)
some_charge = st.builds(
    Charge,
    st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.SWEPT]),
    st.sampled_from([0, 1, 1]),
    st.sampled_from([0, 1, 42, 500, 9_999, 10**12]),
    st.sampled_from([0, 7, 12_345, 10**12]),
    st.booleans(),
    some_details,
)
some_billing = st.fixed_dictionaries(
    {
        "is_billed": st.sampled_from([True, True, True, False]),
        "prepaid": st.sampled_from([False, False, True]),
        "tier": st.sampled_from(["", "free"]),
        "model": st.sampled_from(["gpt-4", "free gemini, flash"]),
        "prompt_cost_nano_usd": st.sampled_from([None, None, 0, 5]),
        "prompt_charge_nano_usd": st.sampled_from([None, None, 0, 7]),
        "price_version": st.sampled_from(["", "v 1"]),
    }
)
