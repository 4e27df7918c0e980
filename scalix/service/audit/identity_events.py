"""Refusals of identity on their way to the audit log: gathered in memory, written off the requests' path, and bounded,
so that a flood of wrong tokens fills neither."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from scalix.service.audit.audit import Act, Actor, AuditTrail

FLUSH_EVERY_S = 2.0
# Entries of single senders: so many at once, and then so many a minute. Another one a minute counts the rest.
BURST = 60
ENTRIES_PER_MINUTE = 2
MOST_SENDERS = 200
_MOST_COUNTED_ADDRESSES = 1_000
_NAMED_ADDRESSES = 10
_MINUTE_MS = 60_000
_LONGEST_PATH = 100

PUBLISHED_KEY = (
    "the master key was refused: it is one that everybody can read, and counts on this machine only; set"
    ' LITELLM_MASTER_KEY to one made by: echo "sk-$(openssl rand -hex 32)"'
)

log = logging.getLogger("scalix.audit")


@dataclass(slots=True)
class _Refusals:
    """Alike refusals: of one code, from one address, of one caller. `path` is that of the first."""

    path: str
    first_ms: int
    last_ms: int
    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


class IdentityEvents:
    """Gathers refused credentials for the audit log.

    `refused` and `previous_key` only count, and never wait. `flush` writes, and is to be called every few seconds.
    """

    def __init__(self, audit: AuditTrail, *, now_ms: Callable[[], int]) -> None:
        self._audit = audit
        self._now_ms = now_ms
        self._allowed = float(BURST)
        self._allowed_ms = now_ms()
        self._gathered: dict[tuple[str, str, str], _Refusals] = {}
        self._rest: Counter[str] = Counter()
        self._rest_addresses: Counter[str] = Counter()
        self._rest_since_ms = 0
        self._rest_written_ms = 0
        self._previous_key: Counter[str] = Counter()
        self._previous_key_written_ms = 0
        self._published_key_said_ms: int | None = None

    def refused(self, code: str, address: str, who: str, path: str, reason: str = "") -> None:
        """A credential that was refused. `who` names the caller where it is known, else it is empty: a
        subject, or `key:<id> <user>`."""
        now_ms = self._now_ms()
        key = (code, address, who)
        alike = self._gathered.get(key)
        if alike is None and len(self._gathered) < min(MOST_SENDERS, self._may_write(now_ms)):
            alike = self._gathered[key] = _Refusals(path[:_LONGEST_PATH], now_ms, now_ms)
        if alike is not None:
            alike.count += 1
            alike.last_ms = now_ms
            if reason:
                alike.reasons[reason] += 1
            return
        self._rest_since_ms = self._rest_since_ms or now_ms
        self._rest[code] += 1
        _count_bounded(self._rest_addresses, address)

    def previous_key(self, address: str) -> None:
        """The operator's previous master key was used."""
        _count_bounded(self._previous_key, address)

    def published_key(self) -> None:
        """The operator's master key was refused because everybody knows it."""
        now_ms = self._now_ms()
        if self._published_key_said_ms is None or now_ms - self._published_key_said_ms >= _MINUTE_MS:
            self._published_key_said_ms = now_ms
            log.warning(PUBLISHED_KEY)

    async def flush(self, *, everything: bool = False) -> None:
        """Write what was gathered; with `everything`, for an end, also what would wait for its minute. Raises
        `StoreUnavailable`; what was gathered is then kept for the next time."""
        now_ms = self._now_ms()
        gathered, self._gathered = self._gathered, {}
        acts = [_refused(*key, alike) for key, alike in gathered.items()]
        rest = self._rest and (everything or now_ms - self._rest_written_ms >= _MINUTE_MS)
        if rest:
            acts.append(self._act_of_rest(now_ms))
        previous = self._previous_key and (everything or now_ms - self._previous_key_written_ms >= _MINUTE_MS)
        if previous:
            acts.append(_act_of_previous_key(self._previous_key))
        if not acts:
            return
        counted = (Counter(self._rest), Counter(self._rest_addresses), Counter(self._previous_key))
        self._allowed = self._may_write(now_ms) - len(gathered)
        self._allowed_ms = now_ms
        try:
            await self._audit.record_all(acts)
        except BaseException:
            self._allowed += len(gathered)
            self._put_back(gathered)
            raise
        if rest:
            self._rest_written_ms = now_ms
            self._rest -= counted[0]
            self._rest_addresses -= counted[1]
            self._rest_since_ms = now_ms if self._rest else 0
        if previous:
            self._previous_key_written_ms = now_ms
            self._previous_key -= counted[2]
            log.warning("the previous master key is still in use: LITELLM_MASTER_KEY_PREVIOUS")

    def _may_write(self, now_ms: int) -> float:
        """How many entries of single senders may be written now."""
        return min(BURST, self._allowed + (now_ms - self._allowed_ms) / _MINUTE_MS * ENTRIES_PER_MINUTE)

    def _put_back(self, gathered: dict[tuple[str, str, str], _Refusals]) -> None:
        for key, alike in self._gathered.items():
            if key in gathered:
                gathered[key].count += alike.count
                gathered[key].last_ms = alike.last_ms
                gathered[key].reasons += alike.reasons
            else:
                gathered[key] = alike
        self._gathered = gathered

    def _act_of_rest(self, now_ms: int) -> Act:
        details = {
            "count": sum(self._rest.values()),
            "codes": dict(self._rest),
            "addresses": dict(self._rest_addresses.most_common(_NAMED_ADDRESSES)),
            "first_ms": self._rest_since_ms,
            "last_ms": now_ms,
        }
        return Act("identity.refused.more", Actor("many"), "", details)


def _refused(code: str, address: str, who: str, alike: _Refusals) -> Act:
    details = {
        "code": code,
        "path": alike.path,
        "count": alike.count,
        "first_ms": alike.first_ms,
        "last_ms": alike.last_ms,
        **({"reasons": dict(alike.reasons)} if alike.reasons else {}),
    }
    kind, _, name = who.partition(":")
    key_id, _, owner = name.partition(" ")
    actor, user_id = who or "unknown", name if kind == "user" else ""
    hides: tuple[str, ...] = (address,)
    if kind == "key" and owner:
        actor, user_id, hides = f"key:{key_id}", owner, (key_id, address)
    by = Actor(actor, address=address)
    return Act("identity.refused", by, user_id, details, hides=hides, at_ms=alike.last_ms)


def _act_of_previous_key(uses: Counter[str]) -> Act:
    details = {"count": sum(uses.values()), "addresses": dict(uses.most_common(_NAMED_ADDRESSES))}
    return Act("identity.previous_master_key", Actor("operator:master"), "", details)


def _count_bounded(counts: Counter[str], address: str) -> None:
    if address in counts or len(counts) < _MOST_COUNTED_ADDRESSES:
        counts[address] += 1
    else:
        counts[""] += 1
