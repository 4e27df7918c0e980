"""Models that keep failing are left alone for a while, by every worker of every instance."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from scalix.service.exchange.policy_source import PolicySource
from scalix.store.base import CooldownStore, Cooling, StoreUnavailable

REFRESH_EVERY_S = 0.5
# Of a cooldown that nobody has asked for, one request is tried after this part of it.
_PROBE_AFTER = 0.5

log = logging.getLogger("scalix.cooldowns")


@dataclass(slots=True)
class _Model:
    """What this process knows of one model. Times are of the monotonic clock, in seconds."""

    failed_at_s: deque[float] = field(default_factory=lambda: deque(maxlen=1_000))
    until_s: float = 0.0
    probe_from_s: float = 0.0
    asked_for: bool = False  # the provider has said how long


class Cooldowns:
    """Which models cool down. Judged in memory; `refresh`, run often, shares it with the others through the store.

    `clock` gives seconds, monotonic.
    """

    def __init__(self, store: CooldownStore, policy: PolicySource, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._models: dict[str, _Model] = {}
        self._cooling: dict[str, _Model] = {}
        self._unsent: dict[str, float | None] = {}  # until when by our clock; `None`: it is over
        self._sending: set[asyncio.Task[None]] = set()

    def wait_s(self, model: str) -> float:
        """How long `model` is still left alone, in seconds; 0 if it is not."""
        state = self._cooling.get(model)
        if state is None:
            return 0.0
        rest_s = state.until_s - self._clock()
        if rest_s <= 0:
            del self._cooling[model]
            return 0.0
        return rest_s

    def may_probe(self, model: str) -> bool:
        """Whether one request may be tried on a model that cools down. The second one that asks may not."""
        state = self._cooling.get(model)
        if state is None or state.asked_for or self._clock() < state.probe_from_s:
            return False
        state.probe_from_s = state.until_s
        return True

    def succeeded(self, model: str, *, was_probe: bool = False) -> None:
        """Note an answer of `model`. What a probe got ends the cooldown; others may have been asked before it began."""
        state = self._models.get(model)
        if state is None:
            return
        state.failed_at_s.clear()
        if was_probe and self._cooling.pop(model, None) is not None:
            log.warning("model %s answers again: its cooldown is over", model)
            self._tell(model, None)

    def failed(self, model: str, retry_after_s: int | None = None) -> None:
        """Note a failure that is the model's. `retry_after_s` is how long its provider asks to be left alone."""
        settings = self._policy.current.cooldown
        if not settings.seconds:
            return
        now_s = self._clock()
        state = self._models.setdefault(model, _Model())
        state.failed_at_s.append(now_s)
        while state.failed_at_s[0] < now_s - settings.within_s:
            state.failed_at_s.popleft()
        if retry_after_s:
            self._cool(model, state, min(retry_after_s, settings.longest_s), asked_for=True)
        elif len(state.failed_at_s) >= settings.failures:
            self._cool(model, state, settings.seconds, asked_for=False)

    def _cool(self, model: str, state: _Model, for_s: float, *, asked_for: bool) -> None:
        now_s = self._clock()
        if now_s + for_s <= state.until_s and model in self._cooling:
            return  # it is to be left alone for longer already
        log.warning("model %s is left alone for %d s: its provider %s", model, for_s, _WHY[asked_for])
        state.failed_at_s.clear()
        self._set(model, state, now_s, for_s, asked_for)
        self._tell(model, state.until_s)

    def _set(self, model: str, state: _Model, now_s: float, rest_s: float, asked_for: bool) -> None:
        state.until_s = now_s + rest_s
        state.probe_from_s = now_s + rest_s * _PROBE_AFTER
        state.asked_for = asked_for
        self._cooling[model] = state

    def _tell(self, model: str, until_s: float | None) -> None:
        self._unsent[model] = until_s
        task = asyncio.get_running_loop().create_task(self._send())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self) -> None:
        """Tell the store what it does not know yet. What it can't be told now is told by the next refresh."""
        for model, until_s in list(self._unsent.items()):
            rest_ms = 0 if until_s is None else round((until_s - self._clock()) * 1000)
            state = self._models.get(model)
            try:
                await self._store.cool(model, max(rest_ms, 0), asked_for=state is not None and state.asked_for)
            except StoreUnavailable as fault:
                log.debug("the cooldown of %s stays here for now: %s", model, fault)
                return
            if self._unsent.get(model, "") == until_s:
                del self._unsent[model]

    async def refresh(self) -> None:
        """Learn what others have found, and tell them what they don't know. With the store away: local knowledge."""
        if self._unsent:
            await self._send()
        try:
            found = await self._store.cooling()
        except StoreUnavailable:
            return
        if found or self._cooling:
            self._learn({cooling.model: cooling for cooling in found})

    def _learn(self, found: dict[str, Cooling]) -> None:
        now_s = self._clock()
        for model in self._cooling.keys() - found.keys() - self._unsent.keys():
            del self._cooling[model]  # a probe of another worker has ended it
        for model, cooling in found.items():
            if model in self._unsent:
                continue
            state = self._models.setdefault(model, _Model())
            if model in self._cooling and abs(now_s + cooling.rest_ms / 1000 - state.until_s) < 1:
                continue
            self._set(model, state, now_s, cooling.rest_ms / 1000, cooling.asked_for)


_WHY = {True: "asks for that", False: "has failed several times in a row"}
