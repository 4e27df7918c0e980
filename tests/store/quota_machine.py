"""Drives a store and the model of the contract through the same steps."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from scalix.domain.limits.calendar import window_end_ms, window_index
from scalix.domain.limits.key_limits import KeyScope, KeyWindow
from scalix.domain.limits.limits import Limits, Window
from scalix.domain.limits.quota import (
    Admitted,
    Ask,
    Charge,
    Finished,
    Prices,
    Stale,
    Tally,
)
from scalix.store.base import UserRecord
from tests.store.quota_comparison import Comparison
from tests.store.quota_strategies import SUBJECTS, some_billing, some_charge, some_limits, some_prices, some_scopes
from tests.store.stores import NOON_MS, key_of

# The clock of a store that took over may be behind by a little.
MOST_BACKWARD_MS = 2_000


class StoreMachine(Comparison):
    """Does to a store and to the model the same, and compares all that can be seen after every step."""

    @initialize(start_ms=st.integers(NOON_MS, NOON_MS + 400 * 86_400_000))
    def start(self, start_ms: int) -> None:
        self.rig.clock.now_ms = self.latest_ms = start_ms
        self.admitted_until_ms = dict.fromkeys(SUBJECTS, start_ms)
        self.credit("user:ann", 0, 10**12)

    @rule(
        subject=st.sampled_from(SUBJECTS),
        given=some_limits,
        prices=some_prices,
        prompt=st.sampled_from([0, 1, 10, 57]),
        estimated=st.sampled_from([None, None, 0, 1, 10]),
        asked=st.sampled_from([0, 1, 16, 100, 4_096, 10**6]),
        choices=st.sampled_from([1, 1, 3]),
        lease_ms=st.sampled_from([1_000, 60_000]),
        number=st.integers(1, 3),
        scope=st.one_of(st.none(), some_scopes()),
        billing=some_billing,
    )
    def admit(
        self,
        subject: str,
        given: Limits,
        prices: Prices,
        prompt: int,
        estimated: int | None,
        asked: int,
        choices: int,
        lease_ms: int,
        number: int,
        scope: KeyScope | None,
        billing: dict[str, Any],
    ) -> None:
        if scope is not None:
            subject, scope = "user:ann", replace(scope, version=self.key_versions[scope.key_id])
        for _ in range(number):
            self.requests += 1
            ask = Ask(
                request_id=f"r{self.requests}",
                subject=subject,
                limits=given,
                prompt_tokens=prompt,
                output_cap_tokens=asked,
                min_output_tokens=min(16, asked),
                choices=choices,
                prices=prices,
                lease_ms=lease_ms,
                key=scope,
                least_prompt_tokens=None if estimated is None else min(estimated, prompt),
                **billing,
            )
            self.admit_and_compare(ask)

    @rule(data=st.data())
    def admit_again(self, data: st.DataObject) -> None:
        flying = [item for model in self.models.values() for item in model.reserved.values()]
        if not flying:
            return
        item = data.draw(st.sampled_from(flying))
        decision = self.run(self.rig.quotas.admit(replace(item.ask, user_version=None)))
        model = self.models[item.ask.subject]
        if item.ask.request_id in model.released:
            assert decision == Finished()
            return
        assert isinstance(decision, Admitted)
        assert (decision.receipt, decision.in_flight, decision.shadow) == (item.receipt, len(model.reserved), ())

    @rule(data=st.data())
    def admit_after_the_end(self, data: st.DataObject) -> None:
        today = window_index(Window.DAY, self.now_ms)
        ended = [
            receipt
            for receipt in self.receipts
            if receipt.request_id not in self.models[receipt.subject].reserved
            and not receipt.key_id  # a gateway that asks once more does so with the same key
            and window_index(Window.DAY, receipt.admitted_ms) == today
        ]
        if ended:
            receipt = data.draw(st.sampled_from(ended))
            self.admit_and_compare(Ask(receipt.request_id, receipt.subject, Limits(), 5, 20, 16, lease_ms=1_000))

    @rule(data=st.data(), charge=some_charge)
    def settle(self, data: st.DataObject, charge: Charge) -> None:
        if self.receipts:
            self.settle_and_compare(data.draw(st.sampled_from(self.receipts[-40:])), charge)

    @rule(data=st.data(), charge=some_charge, seconds=st.integers(-7_200, 7_200), minutes=st.booleans())
    def settle_by_the_receipt_of_a_gateway_without_store(
        self, data: st.DataObject, charge: Charge, seconds: int, minutes: bool
    ) -> None:
        if self.receipts:
            self.settle_moved(data.draw(st.sampled_from(self.receipts[-10:])), charge, seconds, minutes)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.receipts:
            receipt = data.draw(st.sampled_from(self.receipts[-20:]))
            self.release_and_compare(receipt.request_id, receipt.subject, receipt.key_id)

    @rule(subject=st.sampled_from(SUBJECTS))
    def release_before_admission(self, subject: str) -> None:
        self.requests += 1
        self.release_and_compare(f"r{self.requests}", subject)
        self.admit_and_compare(Ask(f"r{self.requests}", subject, Limits(), 5, 20, 16))

    @rule(
        subject=st.sampled_from(SUBJECTS),
        number=st.integers(1, 6),
        nano_usd=st.sampled_from([10**6, 10**9, 10**12, -(10**6), 500_000]),
    )
    def credit(self, subject: str, number: int, nano_usd: int) -> None:
        model = self.models[subject]
        added = model.credit(f"c{number}", nano_usd)
        assert self.run(self.rig.balances.credit(subject, nano_usd, f"c{number}")) == (added, model.balance)

    @rule(data=st.data(), lease_ms=st.sampled_from([1_000, 60_000, 3_600_000]))
    def renew(self, data: st.DataObject, lease_ms: int) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.receipts[-20:]), max_size=5)) if self.receipts else []
        self.run(self.rig.quotas.renew(chosen, lease_ms))
        for receipt in chosen:
            item = self.models[receipt.subject].reserved.get(receipt.request_id)
            if item:
                item.lapses_ms = self.now_ms + lease_ms

    @rule(
        pause_ms=st.sampled_from([60_000, 60_000, 1_000, 0]),
        data=st.data(),
        then=st.sampled_from(["settle", "settle", "settle elsewhere", "release", ""]),
    )
    def sweep(self, pause_ms: int, data: st.DataObject, then: str) -> None:
        self.move_the_clock(pause_ms)
        expected = sum(model.sweep(self.now_ms) for model in self.models.values())
        assert self.run(self.rig.quotas.sweep()) == expected
        swept = [item.receipt for model in self.models.values() for item in model.charged.values() if item.swept]
        if swept and then:
            receipt = data.draw(st.sampled_from(swept))
            if then == "settle":
                self.settle_and_compare(receipt, data.draw(some_charge))
            elif then == "settle elsewhere":
                self.settle_moved(receipt, data.draw(some_charge), data.draw(st.sampled_from([-3_600, 3_600])), True)
            else:
                self.release_and_compare(receipt.request_id, receipt.subject, receipt.key_id)

    @rule(
        subject=st.sampled_from(SUBJECTS),
        prices=some_prices,
        billing=some_billing,
        data=st.data(),
        then=st.sampled_from(["settle", "settle elsewhere", "release", ""]),
    )
    def lose_a_worker(
        self, subject: str, prices: Prices, billing: dict[str, Any], data: st.DataObject, then: str
    ) -> None:
        self.requests += 1
        ask = Ask(f"r{self.requests}", subject, Limits(), 57, 100, 16, prices=prices, lease_ms=1_000, **billing)
        self.admit_and_compare(ask)
        self.sweep(1_000, data, then)

    @rule(tier=st.sampled_from(["free", "pro"]))
    def write_the_record(self, tier: str) -> None:
        record = UserRecord("ann", version=self.versions.get("user:ann", "0"), tier=tier)
        written = self.run(self.rig.users.update(record))
        assert written.version != record.version
        self.versions["user:ann"] = written.version

    @rule(subject=st.sampled_from(SUBJECTS), believed=st.sampled_from(["0", "17", "its own"]))
    def admit_with_a_version(self, subject: str, believed: str) -> None:
        self.requests += 1
        version = self.versions.get(subject, "0")
        ask = Ask(f"r{self.requests}", subject, Limits(), 5, 20, 16)
        if believed in ("its own", version):
            self.admit_and_compare(replace(ask, user_version=version))
        else:
            assert self.run(self.rig.quotas.admit(replace(ask, user_version=believed))) == Stale(version)

    @rule(ms=st.sampled_from([-1_500, -1, 1, 999, 30_000, 61_000, 1_800_000, 7_200_000, 86_400_000, 20 * 86_400_000]))
    def move_the_clock(self, ms: int) -> None:
        self.rig.clock.now_ms = max(self.now_ms + ms, self.latest_ms - MOST_BACKWARD_MS)
        self.latest_ms = max(self.latest_ms, self.now_ms)

    @rule(window=st.sampled_from(Window), offset=st.sampled_from([-1, 0, 1]))
    def move_to_the_end_of(self, window: Window, offset: int) -> None:
        end_ms = window_end_ms(window, window_index(window, self.now_ms))
        self.rig.clock.now_ms = end_ms + offset
        self.latest_ms = max(self.latest_ms, self.now_ms)

    @invariant()
    def everything_seen_is_as_in_the_model(self) -> None:
        for subject, ((now_ms, tallies), in_flight) in zip(SUBJECTS, self.run(self.look()), strict=True):
            assert now_ms == self.now_ms
            self.compare_tallies(subject, tallies, now_ms)
            assert in_flight == len(self.models[subject].reserved)
            assert self.run(self.rig.balances.balance(subject)) == self.models[subject].balance
        for number in (1, 2, 3):
            record = key_of("ann", number)
            tallies = self.run(self.rig.virtual_keys.tallies(record))[1]
            expected = self.models["user:ann"].key_tallies(record.key_id, 0, self.now_ms)
            assert tallies.get(KeyWindow.TOTAL, Tally()) == expected[KeyWindow.TOTAL]
