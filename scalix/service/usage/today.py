"""The shape of what an owner looks at every morning: one day's figures, with the days before it.

`None` means "not known": of days before the gateway kept such figures, or of cohorts that began then. Money is in US
dollars, dates are days in UTC. The *free* tier is the config's `default_tier`; every other tier is a paid one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TierDay:
    """One tier on one day. `tier` is empty for the operator's own requests, who are nobody's users."""

    tier: str
    active_users: int | None
    new_users: int | None
    requests: int
    tokens: int
    provider_cost_usd: float
    charge_usd: float
    margin_usd: float
    margin_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigures:
    """One day.

    - `active_users`: who had a request admitted; `new_users`: of these, whom the gateway had not seen before
    - `upgraded_users`: who were in a paid tier for the first time, and had been in the free one before or that day
    - `limited_users`: who were refused by a limit
    - `errors`: requests that failed at a provider, `error_rate`: their share; `rescued`: requests that were answered
      after another model or deployment had failed
    - `top_free_percent`: the share of the free tier's cost that the top 1 % of its users of that day made
    - `first_byte_p50_ms`, `first_byte_p95_ms`: from admission to the first byte of streamed answers
    """

    date: str
    active_users: int | None
    new_users: int | None
    upgraded_users: int | None
    limited_users: int | None
    requests: int
    errors: int
    error_rate: float
    rescued: int | None
    provider_cost_usd: float
    charge_usd: float
    margin_usd: float
    margin_percent: float | None
    free_cost_usd: float
    top_free_percent: float | None
    first_byte_p50_ms: int | None
    first_byte_p95_ms: int | None
    tiers: list[TierDay]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Of the users who were new, in the free tier, on `cohort_date`: who were in a paid one within so many days (0: on
    the same day). The cohort is the one whose days end with the chosen day."""

    within_days: int
    cohort_date: str
    new_users: int | None
    upgraded_users: int | None
    percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitHits:
    """How many users a limit refused on the chosen day. `limit` is its name, such as `requests-hour`, or `any`."""

    limit: str
    users: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterLimit:
    """What the users who ran into a limit a week before the chosen day have done until then: `upgraded` to another paid
    tier; else `came_back` on a later day; else `left`. Together they are `users`."""

    limit: str
    users: int
    upgraded: int
    came_back: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopFree:
    """The 1 % of the free tier's users of the day (`users` of `of_users`) who cost most, and what they cost."""

    users: int
    of_users: int
    cost_usd: float
    free_cost_usd: float
    percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """What share of the active users has to pay for the margin of the paid tiers to cover the free one, over the last
    30 days as far as they are known (`days`); `paying_percent` is the share that does."""

    days: int
    free_loss_per_user_usd: float | None
    paid_margin_per_user_usd: float | None
    percent: float | None
    paying_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCount:
    """How many requests of the day ended with an error of this class."""

    error: str
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The figures of a chosen day. `is_over`: the day has ended, and nothing more is added to it but what comes late.

    `known_from` is the first day of which users are counted. `limit_hits`, `after_limit_hits` and `top_free` are `None`
    where they are not known. `limit_cohort_date` is the day of `after_limit_hits`. `series` has the chosen day last.
    """

    date: str
    is_over: bool
    free_tier: str
    known_from: str | None
    day: DayFigures
    conversions: list[Conversion]
    limit_hits: list[LimitHits] | None
    limit_cohort_date: str
    after_limit_hits: list[AfterLimit] | None
    top_free: TopFree | None
    break_even: BreakEven
    errors: list[ErrorCount]
    series: list[DayFigures]
