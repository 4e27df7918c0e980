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
        self._used: Counter[str] = Counter()  # requests and tokens of a minute
        self._untold: Counter[str] = Counter()  # of these, what was not published yet
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
        self._use("r", deployment.id, 1)
        self._use("t", deployment.id, tokens)
        self._tell_soon(deployment)
        return Taken(deployment.id, self._minute, tokens)

    def used_up(self, taken: Taken, tokens: int) -> None:
        """Note how many tokens it were after all."""
        self._forget_the_minute_before()
        more = tokens - taken.tokens
        taken.tokens = tokens
        # What was not used of a minute that is over is nobody's any more.
        self._use("t", taken.ident, more if taken.minute == self._minute else max(more, 0))

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
        names = [self._name(of, ident) for of in ("r", "t")]
        requests, tokens = (self._used[name] + self._known_elsewhere(name) for name in names)
        return requests, tokens

    def seconds(self, ident: str) -> float:
        """How long an answer of a deployment takes to begin; 0 if that is not known, so that it is tried."""
        known, at_s = self._seconds.get(ident, (0.0, 0.0))
        return known if self._clock() - at_s < _FRESH_S else 0.0

    async def publish(self) -> None:
        """Tell other workers, and learn what they have told."""
        self._forget_the_minute_before()
        self._untold.clear()
        told = self._in_flight.copy()
        figures = {_WORKERS: 1} | {f"f {ident}": number for ident, number in told.items()} | self._used
        try:
            self._elsewhere = await self._store.publish(self._worker, figures, round(LEASE_S * 1000))
        except StoreUnavailable:
            return
        if not self._has_news():
            self._lately.clear()
        self._lately.append(self._elsewhere)
        self._told = told
        self._learned_s = self._clock()

    def _known_elsewhere(self, name: str) -> int:
        return self._elsewhere.get(name, 0) if self._has_news() else 0

    def _has_news(self) -> bool:
        return self._clock() - self._learned_s < LEASE_S

    def _use(self, of: str, ident: str, number: int) -> None:
        self._forget_the_minute_before()
        self._used[self._name(of, ident)] += number
        self._untold[f"{of} {ident}"] += number

    def _tell_soon(self, deployment: Deployment | Model) -> None:
        """Publish at once what is much, measured by what is left: others go by it."""
        if self._telling is not None and not self._telling.done():
            return
        used = self.used(deployment.id)
        for of, taken, most in zip(("r", "t"), used, (deployment.rpm, deployment.tpm), strict=True):
            if most is not None and self._untold[f"{of} {deployment.id}"] > max(most - taken, 0) * _UNTOLD:
                self._telling = in_background(self.publish())
                return

    def _name(self, of: str, ident: str) -> str:
        return f"{of} {int(self._now_s()) // _MINUTE_S} {ident}"

    def _forget_the_minute_before(self) -> None:
        minute = int(self._now_s()) // _MINUTE_S
        if minute != self._minute:
            self._minute = minute
            self._used.clear()
            self._untold.clear()
