"""The quota contract as lists of requests, with every sum done anew: what the stores are compared with."""

from collections.abc import Callable
from dataclasses import dataclass, field

from scalix.domain.ledger.ledger import Balance, Detail, Event
from scalix.domain.ledger.outcomes import event_of_charge
from scalix.domain.limits.calendar import window_index
from scalix.domain.limits.key_limits import KeyLimit, KeyWindow
from scalix.domain.limits.limits import Limit, Metric, Window
from scalix.domain.limits.quota import Ask, Charge, KeyTallies, Outcome, Receipt, Tally, Verdict


@dataclass
class Reserved:
    """A request in flight."""

    ask: Ask
    receipt: Receipt
    lapses_ms: int
    balance_held: int = 0

    @property
    def tokens(self) -> int:
        return self.ask.prompt_tokens + self.ask.choices * self.receipt.output_cap_tokens

    @property
    def nano_usd(self) -> int:
        return price(self.ask, self.receipt.output_cap_tokens)


@dataclass
class Charged:
    """A request that has ended, with the windows that it counts in. `taken`: by a sweep, of the balance."""

    receipt: Receipt
    charge: Charge
    taken: int = 0

    @property
    def swept(self) -> bool:
        return self.charge.outcome is Outcome.SWEPT

    @property
    def event(self) -> Event:
        """What the ledger has to say of it."""
        return event_of_charge(self.receipt, self.charge)


def price(ask: Ask, output_tokens: int) -> int:
    """Nano-dollars, rounded up, of an answer with this many tokens per choice."""
    pico = ask.prompt_tokens * ask.prices.input_pico_usd_per_token
    pico += ask.choices * output_tokens * ask.prices.output_pico_usd_per_token
    return ask.prices.request_nano_usd + pico // 1000 + (1 if pico % 1000 else 0)


@dataclass
class Model:
    """One subject's requests. `nano_usd` is the balance, `None` for who never paid in."""

    reserved: dict[str, Reserved] = field(default_factory=dict)
    charged: dict[str, Charged] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    nano_usd: int | None = None
    credited: set[str] = field(default_factory=set)

    @property
    def balance(self) -> Balance | None:
        """What is left, and what is held of it."""
        if self.nano_usd is None:
            return None
        return Balance(self.nano_usd, sum(item.balance_held for item in self.reserved.values()))

    def credit(self, credit_id: str, nano_usd: int) -> bool:
        """Whether it was added."""
        if credit_id in self.credited:
            return False
        self.credited.add(credit_id)
        self.nano_usd = (self.nano_usd or 0) + nano_usd
        return True

    def balance_verdict(self, ask: Ask) -> Verdict:
        """What the balance says to the least that the ask can do with."""
        if not ask.is_billed:
            return Verdict.FITS
        balance, need = self.balance, price(ask, ask.min_output_tokens)
        if balance is None:
            return Verdict.EXHAUSTED if ask.prepaid else Verdict.FITS
        if need <= balance.nano_usd - balance.held_nano_usd:
            return Verdict.FITS
        return Verdict.RESERVED if need <= balance.nano_usd else Verdict.EXHAUSTED

    def reserve(self, ask: Ask, receipt: Receipt, now_ms: int) -> None:
        """Admit."""
        item = Reserved(ask, receipt, now_ms + ask.lease_ms)
        item.balance_held = item.nano_usd if ask.is_billed and self.nano_usd is not None else 0
        self.reserved[ask.request_id] = item

    def _take(self, nano_usd: int) -> int:
        """From the balance, if there is one; how much was taken."""
        if self.nano_usd is None:
            return 0
        self.nano_usd -= nano_usd
        return nano_usd

    def tally(self, window: Window, index: int) -> Tally:
        """The window's sums."""

        def counts(receipt: Receipt) -> bool:
            tracked = window is not Window.MINUTE or receipt.tracks_minutes
            return tracked and window_index(window, receipt.admitted_ms) == index

        return self._sums(counts)

    def key_tallies(self, key_id: str, budget_start_ms: int, at_ms: int) -> KeyTallies:
        """The sums of a key's windows that a request admitted at `at_ms` counts in."""
        minute = window_index(Window.MINUTE, at_ms)

        def in_minute(receipt: Receipt) -> bool:
            return receipt.key_id == key_id and window_index(Window.MINUTE, receipt.admitted_ms) == minute

        def in_period(receipt: Receipt) -> bool:
            return receipt.key_id == key_id and receipt.budget_start_ms == budget_start_ms

        tallies = {
            KeyWindow.MINUTE: self._sums(in_minute),
            KeyWindow.TOTAL: self._sums(lambda receipt: receipt.key_id == key_id),
        }
        return {**tallies, KeyWindow.BUDGET: self._sums(in_period)} if budget_start_ms else tallies

    def _sums(self, counts: Callable[[Receipt], bool]) -> Tally:
        used = [item for item in self.charged.values() if counts(item.receipt)]
        held = [item for item in self.reserved.values() if counts(item.receipt)]
        return Tally(
            sum(item.charge.requests for item in used),
            sum(item.charge.tokens for item in used),
            sum(item.charge.nano_usd for item in used),
            len(held),
            sum(item.tokens for item in held),
            sum(item.nano_usd for item in held),
        )

    def verdicts(self, ask: Ask, now_ms: int) -> tuple[Verdict, ...]:
        """What each limit says to the least that the ask can do with."""
        return tuple(self._verdict(limit, ask, now_ms) for limit in ask.limits.windows)

    def _verdict(self, limit: Limit, ask: Ask, now_ms: int) -> Verdict:
        if _fits(limit, _need(limit, ask, ask.min_output_tokens), self._left(limit, now_ms)):
            return Verdict.FITS
        tally = self.tally(limit.window, window_index(limit.window, now_ms))
        room_later = limit.value - tally.used(limit.metric) >= _need(limit, ask, ask.min_output_tokens)
        return Verdict.RESERVED if room_later and limit.metric is not Metric.REQUESTS else Verdict.EXHAUSTED

    def key_verdicts(self, ask: Ask, now_ms: int) -> tuple[tuple[Verdict, ...], bool]:
        """What each limit of the key says, and whether it has as many requests in flight as it may."""
        if ask.key is None:
            return (), False
        tallies = self.key_tallies(ask.key.key_id, ask.key.budget_start_ms(now_ms), now_ms)
        verdicts = []
        for limit in ask.key.limits:
            tally, need = tallies[limit.window], _need(limit, ask, ask.min_output_tokens)
            if _fits(limit, need, limit.value - tally.used(limit.metric) - tally.held(limit.metric)):
                verdicts.append(Verdict.FITS)
            elif limit.metric is not Metric.REQUESTS and tally.used(limit.metric) + need <= limit.value:
                verdicts.append(Verdict.RESERVED)
            else:
                verdicts.append(Verdict.EXHAUSTED)
        flying = tallies[KeyWindow.TOTAL].requests_held
        return tuple(verdicts), ask.key.concurrent is not None and flying >= ask.key.concurrent

    def full(self, ask: Ask) -> bool:
        return ask.limits.concurrent is not None and len(self.reserved) >= ask.limits.concurrent

    def refuses(self, ask: Ask, now_ms: int) -> bool:
        """Whether the least that the ask can do with is too much for something that is enforced."""
        key_verdicts, key_full = self.key_verdicts(ask, now_ms)
        pairs = zip(self.verdicts(ask, now_ms), ask.limits.windows, strict=True)
        said = [verdict for verdict, limit in pairs if limit.enforce] + [*key_verdicts, self.balance_verdict(ask)]
        full = key_full or (self.full(ask) and ask.limits.enforce_concurrent)
        return full or any(verdict is not Verdict.FITS for verdict in said)

    def depends_on(self, ask: Ask, certain: Ask, now_ms: int) -> bool:
        """Whether a prompt of as few tokens as are certain fares better."""
        if self.refuses(ask, now_ms) or self.cap(ask, now_ms) < ask.output_cap_tokens:
            return True
        fits = [[said is Verdict.FITS for said in self.verdicts(one, now_ms)] for one in (ask, certain)]
        return fits[0] != fits[1]

    def fits_later(self, ask: Ask, now_ms: int) -> bool:
        """Whether nothing would refuse the ask for its tokens or its cost if requests in flight gave all back."""
        later = Model({}, self.charged, self.released, self.nano_usd)
        key_verdicts, _ = later.key_verdicts(ask, now_ms)
        limits: list[Limit | KeyLimit] = [*ask.limits.windows, *(ask.key.limits if ask.key else ())]
        pairs = zip((*later.verdicts(ask, now_ms), *key_verdicts), limits, strict=True)
        said = [
            verdict
            for verdict, limit in pairs
            if limit.metric is not Metric.REQUESTS and (not isinstance(limit, Limit) or limit.enforce)
        ]
        return all(verdict is Verdict.FITS for verdict in (*said, later.balance_verdict(ask)))

    def cap(self, ask: Ask, now_ms: int) -> int:
        """The largest output cap that all enforced limits have room for, found by halving."""
        least, most = ask.min_output_tokens, ask.output_cap_tokens
        enforced: list[tuple[Limit | KeyLimit, int]] = [
            (limit, self._left(limit, now_ms)) for limit in ask.limits.windows if limit.enforce
        ]
        if ask.key is not None:
            tallies = self.key_tallies(ask.key.key_id, ask.key.budget_start_ms(now_ms), now_ms)
            for limit in ask.key.limits:
                tally = tallies[limit.window]
                enforced.append((limit, limit.value - tally.used(limit.metric) - tally.held(limit.metric)))
        balance = self.balance if ask.is_billed else None
        while least < most:
            middle = (least + most + 1) // 2
            pays = balance is None or price(ask, middle) <= balance.nano_usd - balance.held_nano_usd
            if pays and all(_fits(limit, _need(limit, ask, middle), left) for limit, left in enforced):
                least = middle
            else:
                most = middle - 1
        return least

    def _left(self, limit: Limit, now_ms: int) -> int:
        tally = self.tally(limit.window, window_index(limit.window, now_ms))
        return limit.value - tally.used(limit.metric) - tally.held(limit.metric)

    def charge(self, receipt: Receipt, charge: Charge) -> str:
        """Settle; the status that the store has to give."""
        before = self.charged.get(receipt.request_id)
        if before and not before.swept:
            return "duplicate"
        self.reserved.pop(receipt.request_id, None)
        self._take(charge.detail.charge_nano_usd - (before.taken if before else 0))
        self.charged[receipt.request_id] = Charged(receipt, charge)
        return "replaced" if before else "settled"

    def release(self, request_id: str, now_ms: int) -> bool:
        self.released.add(request_id)
        if self.reserved.pop(request_id, None):
            return True
        swept = self.charged.get(request_id)
        if swept is None or not swept.swept:
            return False
        day = window_index(Window.DAY, now_ms) - window_index(Window.DAY, swept.receipt.admitted_ms)
        if day not in (0, 1):
            return False
        del self.charged[request_id]
        self._take(-swept.taken)
        return True

    def sweep(self, now_ms: int) -> int:
        """How many were charged."""
        swept = 0
        for request_id, item in list(self.reserved.items()):
            if item.lapses_ms <= now_ms:
                del self.reserved[request_id]
                if request_id not in self.charged:
                    charge = _charge_of_sweep(item.ask)
                    taken = self._take(charge.detail.charge_nano_usd)
                    self.charged[request_id] = Charged(item.receipt, charge, taken)
                    swept += 1
        return swept


def _charge_of_sweep(ask: Ask) -> Charge:
    nano_usd = price(ask, 0)
    charged = nano_usd if ask.prompt_charge_nano_usd is None else ask.prompt_charge_nano_usd
    detail = Detail(
        ask.tier,
        ask.model,
        prompt_tokens=ask.prompt_tokens,
        cost_nano_usd=nano_usd if ask.prompt_cost_nano_usd is None else ask.prompt_cost_nano_usd,
        charge_nano_usd=charged if ask.is_billed else 0,
        price_version=ask.price_version,
    )
    return Charge(Outcome.SWEPT, 1, ask.prompt_tokens, charged, True, detail)


def _fits(limit: Limit | KeyLimit, need: int, left: int) -> bool:
    """What costs nothing needs no money, also where more than all has been spent."""
    return need <= left or (not need and limit.metric is Metric.SPEND)


def _need(limit: Limit | KeyLimit, ask: Ask, output_tokens: int) -> int:
    if limit.metric is Metric.REQUESTS:
        return 1
    if limit.metric is Metric.TOKENS:
        return ask.prompt_tokens + ask.choices * output_tokens
    return price(ask, output_tokens)
