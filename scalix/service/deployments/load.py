"""What deployments have to do and how fast they are, as this worker knows: by itself, and from what others publish."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from scalix.domain.deployments import Deployment
from scalix.domain.policy import Model
from scalix.store.base import StoreUnavailable
from scalix.store.connection.background import in_background
from scalix.store.records.redis_loads import LoadStore

PUBLISH_EVERY_S = 0.1
# What other workers don't know yet of a deployment's limit is at most this part of what is left of it.
_UNTOLD = 1 / 16
LEASE_S = 3.0
# How long it is believed how fast one was: after that it is tried anew.
_FRESH_S = 60.0
_OF_THE_LAST = 0.3  # how much the newest answer says of it
_LATELY_S = 2.0
_MINUTE_S = 60
_USES = ("r", "t")  # requests and tokens of a minute, as they are published
_NOTHING = (0, 0)
_WORKERS = "w"  # of which each states one


@dataclass(slots=True)
class Taken:
    """What a request has taken of a deployment's limits: one request, and `tokens`, in `minute`."""

    ident: str
    minute: int
    tokens: int


class Load:
    """The requests in flight by deployment, and what those with limits have taken in this minute. `clock` gives
    seconds, monotonic; `now_s` Unix time."""

    def __init__(self, store: LoadStore, clock: Callable[[], float], now_s: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._now_s = now_s
        self._worker = uuid4().hex[:12]
        self._in_flight: Counter[str] = Counter()
        self._told: Counter[str] = Counter()  # of these, when the others last told of theirs
        self._used: dict[str, tuple[int, int]] = {}  # requests and tokens of this minute
        self._untold: dict[str, tuple[int, int]] = {}  # of these, what was not published yet
        self._used_elsewhere: dict[str, tuple[int, int]] = {}
        self._telling: asyncio.Task[None] | None = None
        self._minute = 0
        self._elsewhere: dict[str, int] = {}
        self._lately: deque[dict[str, int]] = deque(maxlen=round(_LATELY_S / PUBLISH_EVERY_S))
        self._learned_s = -LEASE_S
        self._seconds: dict[str, tuple[float, float]] = {}  # how long an answer takes, and when that was seen

    @contextmanager
    def asked(self, ident: str) -> Iterator[None]:
        """While the block runs, the deployment has one request more; "" is none."""
        if not ident:
            yield
            return
        self._in_flight[ident] += 1
        try:
            yield
        finally:
            self._in_flight[ident] -= 1
            if not self._in_flight[ident]:
                del self._in_flight[ident]

    def take(self, deployment: Deployment | Model, tokens: int) -> Taken | None:
        """Have a request and the tokens of its prompt count, if the deployment has limits."""
        if not deployment.is_limited:
            return None
        self._use(deployment.id, 1, tokens)
        self._tell_soon(deployment)
        return Taken(deployment.id, self._minute, tokens)

    def used_up(self, taken: Taken, tokens: int) -> None:
        """Note how many tokens it were after all."""
        self._forget_the_minute_before()
        more = tokens - taken.tokens
        taken.tokens = tokens
        # What was not used of a minute that is over is nobody's any more.
        self._use(taken.ident, 0, more if taken.minute == self._minute else max(more, 0))

    def has_room(self, deployment: Deployment | Model, tokens: int = 0) -> bool:
        """Whether a deployment takes one more request of so many tokens in this minute, as far as is known here."""
        return not deployment.is_limited or deployment.has_room(*self.used(deployment.id), tokens)

    def minute_left_s(self) -> float:
        """How long this minute lasts yet, in seconds."""
        return _MINUTE_S - self._now_s() % _MINUTE_S

    def answered(self, ident: str, seconds: float) -> None:
        """Note an answer, and how long it took to begin."""
        known, at_s = self._seconds.get(ident, (seconds, self._clock()))
        is_fresh = self._clock() - at_s < _FRESH_S
        mean = known + _OF_THE_LAST * (seconds - known) if is_fresh else seconds
        self._seconds[ident] = (mean, self._clock())

    def in_flight(self, ident: str) -> float:
        """How many requests a deployment has to answer, of all workers: of the others, on the mean of the last seconds,
        as what they had at one moment is no more when it is heard of."""
        name = f"f {ident}"
        lately = self._lately if self._has_news() else ()
        return self._in_flight[ident] + sum(one.get(name, 0) for one in lately) / (len(lately) or 1)

    def busy(self, ident: str) -> float:
        """How many it may have by now: since others told of theirs, each of the other workers is taken to have done
        half of what this one has. Else all would run to the one that was idle then, until they hear of each other."""
        since = self._in_flight[ident] - self._told[ident]
        elsewhere = self._known_elsewhere(f"f {ident}") + since * self._known_elsewhere(_WORKERS) / 2
        return self._in_flight[ident] + max(0.0, elsewhere)

    def used(self, ident: str) -> tuple[int, int]:
        """The requests and tokens of a deployment in this minute, of all workers."""
        self._forget_the_minute_before()
        requests, tokens = self._used.get(ident, _NOTHING)
        more = self._used_elsewhere.get(ident, _NOTHING) if self._has_news() else _NOTHING
        return requests + more[0], tokens + more[1]

    def seconds(self, ident: str) -> float:
        """How long an answer of a deployment takes to begin; 0 if that is not known, so that it is tried."""
        known, at_s = self._seconds.get(ident, (0.0, 0.0))
        return known if self._clock() - at_s < _FRESH_S else 0.0

    async def publish(self) -> None:
        """Tell other workers, and learn what they have told."""
        self._forget_the_minute_before()
        self._untold.clear()
        told = self._in_flight.copy()
        figures = {_WORKERS: 1} | {f"f {ident}": number for ident, number in told.items()}
        for ident, numbers in self._used.items():
            figures |= {f"{of} {self._minute} {ident}": number for of, number in zip(_USES, numbers, strict=True)}
        try:
            self._elsewhere = await self._store.publish(self._worker, figures, round(LEASE_S * 1000))
        except StoreUnavailable:
            return
        if not self._has_news():
            self._lately.clear()
        self._lately.append(self._elsewhere)
        self._told = told
        self._learned_s = self._clock()
        self._learn_uses()

    def _known_elsewhere(self, name: str) -> int:
        return self._elsewhere.get(name, 0) if self._has_news() else 0

    def _has_news(self) -> bool:
        return self._clock() - self._learned_s < LEASE_S

    def _learn_uses(self) -> None:
        """What the others have used of this minute, by what they have told."""
        self._forget_the_minute_before()
        self._used_elsewhere.clear()
        for name, number in self._elsewhere.items():
            of, _, rest = name.partition(" ")
            minute, _, ident = rest.partition(" ")
            if of in _USES and minute == str(self._minute):
                requests, tokens = self._used_elsewhere.get(ident, _NOTHING)
                self._used_elsewhere[ident] = (number, tokens) if of == _USES[0] else (requests, number)

    def _use(self, ident: str, requests: int, tokens: int) -> None:
        self._forget_the_minute_before()
        for uses in (self._used, self._untold):
            known = uses.get(ident, _NOTHING)
            uses[ident] = known[0] + requests, known[1] + tokens

    def _tell_soon(self, deployment: Deployment | Model) -> None:
        """Publish at once what is much, measured by what is left: others go by it."""
        if self._telling is not None and not self._telling.done():
            return
        untold, limits = self._untold.get(deployment.id, _NOTHING), (deployment.rpm, deployment.tpm)
        for told, used, most in zip(untold, self.used(deployment.id), limits, strict=True):
            if most is not None and told > max(most - used, 0) * _UNTOLD:
                self._telling = in_background(self.publish())
                return

    def _forget_the_minute_before(self) -> None:
        minute = int(self._now_s()) // _MINUTE_S
        if minute != self._minute:
            self._minute = minute
            for uses in (self._used, self._untold, self._used_elsewhere):
                uses.clear()
