"""`cost_calculator`: calculates what a request costs, and charges users costs."""

import time

from scalix.api.errors import UnknownPrice
from scalix.api.runtime import RUNTIME, Runtime
from scalix.api.tracking import track_cost
from scalix.api.usage_values import Metadata, Money, Tracked, usage_of
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.domain.prices.pricing import calculate
from scalix.domain.requests.model_names import did_you_mean


class CostCalculator:
    """Calculates with the gateway's prices. `aio` has the same methods for asynchronous callers."""

    def __init__(self, runtime: Runtime = RUNTIME) -> None:
        self._runtime = runtime
        self.aio = AsyncCostCalculator(runtime, self)

    def calculate_cost(self, model: str, usage: object) -> float:
        """The provider's cost in US dollars at the current prices. The tier's markup is not in it.

        Needs no store. Raises `UnknownPrice`, `SetupError`, and `ValueError` for a usage that can't be true.
        """
        return self.calculate_cost_nano_usd(model, usage) / NANO_USD_PER_USD

    def calculate_cost_nano_usd(self, model: str, usage: object) -> int:
        """The provider's cost in nano-dollars, exactly as in the ledger."""
        used = usage_of(usage)
        models = self._runtime.place().policy.models
        known = models.get(model)
        at_ms = time.time_ns() // 1_000_000
        price = known.price_at(at_ms) if known is not None else None
        if price is None:
            if known is not None:
                raise UnknownPrice(f"the model '{model}' has no price: write one under scalix: prices: models:")
            meant = did_you_mean(model, models)
            raise UnknownPrice(f"the model '{model}' is not configured: {meant or 'add it to model_list'}".rstrip())
        return calculate(price, used, at_ms)

    def track_cost(self, user_id: str, model: str, cost: Money, metadata: Metadata = None) -> Tracked:
        """Charge a user a cost (US dollars, as the provider takes it) without a request or tokens; the tier's markup is
        applied. Once for each `metadata["request_id"]` of a day (UTC).

        Raises `StoreNotRunning`, `SetupError`, `ValueError`.
        """
        return self._runtime.run(lambda services: track_cost(services, user_id, model, cost, metadata))


class AsyncCostCalculator:
    """`CostCalculator` for asynchronous callers."""

    def __init__(self, runtime: Runtime, calculator: CostCalculator) -> None:
        self._runtime = runtime
        self._calculator = calculator

    async def calculate_cost(self, model: str, usage: object) -> float:
        """As `CostCalculator.calculate_cost`."""
        return self._calculator.calculate_cost(model, usage)

    async def track_cost(self, user_id: str, model: str, cost: Money, metadata: Metadata = None) -> Tracked:
        """As `CostCalculator.track_cost`."""
        return await self._runtime.arun(lambda services: track_cost(services, user_id, model, cost, metadata))
