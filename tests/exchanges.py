"""Exchanges in flight, as the admission makes them."""

from collections.abc import Mapping
from typing import Any

from scalix.domain.limits.limits import UNLIMITED, Limits
from scalix.domain.limits.quota import FREE_OF_CHARGE, Admitted, Ask, Prices, Receipt
from scalix.domain.policy import Model
from scalix.domain.requests.routes import Route
from scalix.service.exchange.admission import Admission, Offer, Reservation
from scalix.service.exchange.calls import Call
from scalix.service.exchange.exchanges import Exchange
from scalix.service.exchange.object_ids import NOTHING, NamedObjects
from scalix.service.identity.callers import THE_OPERATOR, Caller


def made_exchange(
    caller: Caller = THE_OPERATOR,
    route: Route = Route.CHAT,
    *,
    receipt: Receipt | None = None,
    admitted: Admitted | None = None,
    model: str = "m",
    body: dict[str, Any] | None = None,
    streamed: bool = True,
    named: NamedObjects = NOTHING,
    limits: Limits = UNLIMITED,
    prices: Prices = FREE_OF_CHARGE,
    choices: int = 1,
    local: bool = False,
    models: Mapping[str, Model] | None = None,
    began_s: float = 0.0,
    **rest: Any,
) -> Exchange:
    """An exchange of `caller`; `rest` are the fields of an `Exchange`."""
    receipt = receipt or (admitted.receipt if admitted else Receipt("r", str(caller.subject), 0, 0, 0, False))
    call = Call(receipt.request_id, route, {"stream": streamed, **(body or {})}, named)
    ask = Ask(receipt.request_id, receipt.subject, limits, receipt.prompt_tokens, 0, 0, choices, prices, model=model)
    reservation = Reservation(ask, admitted or Admitted(receipt, {}, 1), local)
    return Exchange(Admission(caller, call, reservation, Offer(models or {}), began_s=began_s), **rest)
