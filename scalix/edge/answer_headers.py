"""The headers of a metered answer: whose it is, who served it, and where its caller's limits stand."""

from urllib.parse import quote

from scalix.domain.limits.key_states import key_states
from scalix.domain.limits.quota import Settled, window_states
from scalix.domain.requests.request_ids import HEADER, told
from scalix.edge.asgi import Header
from scalix.edge.quota_headers import State, quota_headers
from scalix.service.exchange.exchanges import Exchange

_IN_NAMES = "/:._-@+ "
_IN_ROUTES = f"{_IN_NAMES}>;,"


def answer_headers(exchange: Exchange, settled: Settled | None, served: str | None, now_ms: int) -> list[Header]:
    """The headers for an exchange: `settled`, or still under way (`None`). `served` is the model that answers, if one
    does; `now_ms` is Unix time."""
    admitted = exchange.admission.reservation.admitted
    tallies = settled.tallies if settled else admitted.tallies
    key_tallies = (settled.key_tallies if settled else None) or admitted.key_tallies
    key = exchange.admission.caller.key
    states: list[State] = [
        *window_states(exchange.admission.reservation.ask.limits, tallies, admitted.receipt.admitted_ms),
        *key_states(key.scope if key else None, key_tallies, admitted.receipt.admitted_ms),
    ]
    headers: list[Header] = [(HEADER, told(exchange.admission.request_id).encode())]
    if served is not None:
        headers.append((b"x-scalix-model-served", quote(served, safe=_IN_NAMES).encode()))
    headers += routed_headers(exchange.routed)
    if exchange.dropped:
        headers.append((b"x-scalix-dropped", str(exchange.dropped).encode()))
    cut = _cut_cap(exchange, served)
    if cut is not None:
        headers.append((b"x-scalix-max-tokens", f"{cut}; asked={exchange.admission.asked_cap_tokens}".encode()))
    if admitted.shadow:
        headers.append((b"x-scalix-shadow", ", ".join(admitted.shadow).encode()))
    tier = exchange.admission.caller.tier
    name, upgrade_url = (tier.name, tier.upgrade_url) if tier else (None, None)
    return headers + quota_headers(name, upgrade_url, states, now_ms)


def routed_headers(routed: str) -> list[Header]:
    """Where a route has led, if one did."""
    return [(b"x-scalix-routed", quote(routed, safe=_IN_ROUTES).encode())] if routed else []


def _cut_cap(exchange: Exchange, served: str | None) -> int | None:
    """The longest answer in tokens that was allowed, where it is less than the client asked for."""
    cap = exchange.admission.receipt.output_cap_tokens
    model = exchange.admission.offer.models.get(served or "")
    if model is not None and model.name != exchange.admission.model and model.max_output_tokens is not None:
        cap = min(cap, model.max_output_tokens)
    asked = exchange.admission.asked_cap_tokens
    return cap if asked is not None and cap < asked else None
