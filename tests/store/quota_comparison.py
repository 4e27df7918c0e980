"""Does one thing to a store and to the model of the contract, and compares what comes of it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import (
    Admitted,
    Ask,
    Charge,
    CountFirst,
    Finished,
    Receipt,
    Refused,
    Tally,
    Verdict,
)
from tests.store.quota_books import compare_books
from tests.store.quota_model import Model
from tests.store.quota_strategies import SUBJECTS
from tests.store.stores import NOON_MS, Rig, key_of

Result = TypeVar("Result")


class Comparison(RuleBasedStateMachine):
    """A store and the model side by side."""

    make_rig: Callable[[int], Rig]
    made = 0

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        type(self).made += 1
        self.rig = type(self).make_rig(self.made)
        self.models = {subject: Model() for subject in SUBJECTS}
        self.receipts: list[Receipt] = []
        self.versions: dict[str, str] = {}
        self.latest_ms = NOON_MS
        self.admitted_until_ms = dict.fromkeys(SUBJECTS, NOON_MS)
        self.requests = 0
        self.key_versions = {
            f"k{number}": self.run(self.rig.virtual_keys.create(key_of("ann", number))).version for number in (1, 2, 3)
        }

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    @property
    def now_ms(self) -> int:
        return self.rig.clock.now_ms

    def admit_and_compare(self, ask: Ask) -> None:
        model, now_ms = self.models[ask.subject], self.now_ms
        decision = self.run(self.rig.quotas.admit(ask))
        if ask.request_id in model.released:
            assert decision == Finished()
            return
        if ask.least_prompt_tokens is not None:
            certain = replace(ask, prompt_tokens=ask.least_prompt_tokens)
            if model.refuses(certain, now_ms):
                ask = certain
            elif model.depends_on(ask, certain, now_ms):
                assert isinstance(decision, CountFirst)
                most = decision.most_prompt_tokens
                assert model.fits_later(replace(ask, prompt_tokens=10**6 if most is None else most), now_ms)
                assert most is None or not model.fits_later(replace(ask, prompt_tokens=most + 1), now_ms)
                return
        verdicts, full = model.verdicts(ask, now_ms), model.full(ask)
        key_verdicts, key_full = model.key_verdicts(ask, now_ms)
        of_balance = model.balance_verdict(ask)
        refusing = [verdict is not Verdict.FITS for verdict in verdicts]
        if model.refuses(ask, now_ms):
            assert isinstance(decision, Refused)
            assert (decision.key_verdicts, decision.key_concurrent_full) == (key_verdicts, key_full)
            assert (decision.now_ms, decision.verdicts, decision.concurrent_full) == (now_ms, verdicts, full)
            assert decision.in_flight == len(model.reserved)
            assert (decision.balance, decision.balance_now) == (of_balance, model.balance if ask.is_billed else None)
        else:
            assert isinstance(decision, Admitted)
            minutes = any(limit.window is Window.MINUTE for limit in ask.limits.windows)
            cap = model.cap(ask, now_ms)
            receipt = Receipt(ask.request_id, ask.subject, now_ms, ask.prompt_tokens, cap, minutes)
            if ask.key is not None:
                start_ms = ask.key.budget_start_ms(now_ms)
                receipt = replace(receipt, key_id=ask.key.key_id, budget_start_ms=start_ms)
            assert decision.receipt == receipt
            names = [limit.name for no, limit in zip(refusing, ask.limits.windows, strict=True) if no]
            assert decision.shadow == (*names, *(["concurrent"] if full else []))
            model.reserve(ask, receipt, now_ms)
            assert decision.balance == (model.balance if ask.is_billed else None)
            assert decision.in_flight == len(model.reserved)
            self.receipts.append(receipt)
            self.admitted_until_ms[ask.subject] = max(now_ms, self.admitted_until_ms[ask.subject])
            if ask.key is not None:
                found = model.key_tallies(ask.key.key_id, receipt.budget_start_ms, now_ms)
                assert decision.key_tallies == found
        self.compare_tallies(ask.subject, decision.tallies, now_ms)

    def settle_moved(self, receipt: Receipt, charge: Charge, seconds: int, minutes: bool) -> None:
        moved = receipt.admitted_ms + seconds * 1000
        if window_index(Window.DAY, moved) == window_index(Window.DAY, receipt.admitted_ms):
            self.settle_and_compare(replace(receipt, admitted_ms=moved, tracks_minutes=minutes), charge)

    def settle_and_compare(self, receipt: Receipt, charge: Charge) -> None:
        settled = self.run(self.rig.quotas.settle(receipt, charge))
        model = self.models[receipt.subject]
        assert settled.status == model.charge(receipt, charge)
        assert settled.balance in (None, model.balance)
        self.compare_tallies(receipt.subject, settled.tallies, receipt.admitted_ms)

    def release_and_compare(self, request_id: str, subject: str, key_id: str | None = None) -> None:
        released = self.run(self.rig.quotas.release(request_id, subject, key_id))
        assert released == self.models[subject].release(request_id, self.now_ms)

    async def look(self) -> Any:
        store: Any = self.rig.quotas
        return await asyncio.gather(
            *(asyncio.gather(store.tallies(subject), store.in_flight(subject)) for subject in SUBJECTS)
        )

    def compare_tallies(self, subject: str, tallies: dict[Window, Tally], at_ms: int) -> None:
        for window in Window:
            index = window_index(window, at_ms)
            # Those before the last are pruned when a new one begins.
            kept = index >= window_index(window, self.admitted_until_ms[subject]) - 1
            if kept and (window in tallies or window is not Window.MINUTE):
                assert tallies.get(window, Tally()) == self.models[subject].tally(window, index), window

    def teardown(self) -> None:
        self.run(compare_books(self.models, self.rig.ledger))
        self.run(self.rig.close())
        self._runner.close()
