"""May this caller send this request, and is there room for it?"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from scalix.domain.errors import GatewayError
from scalix.domain.fallbacks import may_serve
from scalix.domain.limits.quota import FREE_OF_CHARGE, Admitted, Ask, CountFirst, Refused, Stale
from scalix.domain.policy import Model
from scalix.domain.requests.features import features_of, taken_options
from scalix.domain.tokens.media_tokens import Media
from scalix.domain.tokens.output_cap import output_request, with_cap
from scalix.domain.tokens.prompt_size import PromptSize, estimated_size
from scalix.service.clock import now_ms
from scalix.service.exchange.admission import Admission, Offer, Reservation
from scalix.service.exchange.asked_prices import dearest_prices, refuse_unpriced
from scalix.service.exchange.asks import asked
from scalix.service.exchange.calls import Call
from scalix.service.exchange.exchanges import Exchange, Exchanges
from scalix.service.exchange.model_access import ModelAccess
from scalix.service.exchange.names_of_day import NamesOfDay
from scalix.service.exchange.not_allowed import missing_feature
from scalix.service.exchange.outage import store_is_down
from scalix.service.exchange.refusals import refusal
from scalix.service.exchange.reservations import Reservations
from scalix.service.exchange.token_counting import Bound, TokenCounting
from scalix.service.exchange.unknown_sizes import refuse_unknown_size, refuse_unmeasured
from scalix.service.identity.callers import Caller
from scalix.service.policy_source import PolicySource

_MOST_ASKS = 5  # records change under us, and what is left while a prompt is counted

log = logging.getLogger("scalix.admission")


class AdmissionControl:
    """Judges calls and reserves their room. `counting` counts the prompts on whose exact size it depends; the others
    are estimated."""

    def __init__(
        self,
        policy: PolicySource,
        access: ModelAccess,
        room: Reservations,
        exchanges: Exchanges,
        counting: TokenCounting,
        names: NamesOfDay | None = None,
    ) -> None:
        self._policy = policy
        self._access = access
        self._room = room
        self._exchanges = exchanges
        self._counting = counting
        self._names = names

    async def admit(self, caller: Caller, call: Call) -> Exchange:
        """The exchange, with its room reserved and its cap written into the body. Raises `GatewayError`s."""
        began_s = time.monotonic()
        policy = self._policy.current
        model = self._access.model(policy, caller, call.body)
        options = taken_options(call.body, policy.features)
        wants = features_of(options)
        caller = await self._access.allowed(policy, caller, model, wants)
        if call.named.are_refused(caller):
            caller = await self._access.reread(caller)
        if known := self._room.known.refusal_of_any_request(caller):
            raise known
        wanted = output_request(call.route, call.body)
        models = policy.models_with(model.name)
        among_others = self._names is not None and model.of_wildcard and await self._names.is_other(model.name)
        counted: PromptSize | None = None
        for_nothing = False  # whether only models that cost nothing may serve, as there is no money left for others
        for _ in range(_MOST_ASKS):
            call.named.check(caller)
            refuse_unknown_size(caller, call.route, call.body)
            names = may_serve(model.name, policy.fallbacks, models, caller.allows, policy.retries.models)
            serving = (model, *(models[name] for name in names[1:]))
            refuse_unpriced(caller, call.route, model, now_ms())
            media = Media(tuple(dict.fromkeys(model.provider_model for model in serving)))
            size = counted or estimated_size(call.route, call.body, media)
            if for_nothing:
                serving = tuple(one for one in serving if self._is_free(one, call, size, caller))
            ask = asked(caller, call, serving, wanted, size, among_others=among_others, now_ms=now_ms())
            refuse_unmeasured(caller, call.body, media)
            if known := self._room.known.refusal(caller, ask):
                raise known
            decision, local = await self._room.decide(caller, ask)
            if isinstance(decision, Admitted):
                try:
                    with_cap(call.body, wanted, decision.receipt.output_cap_tokens)
                except BaseException:
                    self._room.release_later(ask)
                    raise
                admission = Admission(
                    caller,
                    call,
                    Reservation(ask, decision, local),
                    Offer(models, frozenset(one.name for one in serving), options),
                    wanted.cap_tokens,
                    began_s,
                )
                exchange = Exchange(admission)
                self._exchanges.add(exchange)
                return exchange
            if isinstance(decision, Refused):
                by_money = not for_nothing and len(serving) > 1 and decision.is_by_money(ask)
                if not by_money or not self._is_free(model, call, size, caller):
                    raise refusal(caller, ask, decision)
                for_nothing = True
                continue
            if isinstance(decision, CountFirst):
                counted = await self._counted(call, ask, media, decision, local=local)
                continue
            if not isinstance(decision, Stale):
                break
            counted = None  # others may serve it now
            caller = await self._access.allowed(policy, await self._access.reread(caller), model, wants)
        raise store_is_down("the records of who asks changed at each try")

    def _is_free(self, model: Model, call: Call, size: PromptSize, caller: Caller) -> bool:
        return dearest_prices((model,), call.body, size.tokens, caller.tier, now_ms()) == FREE_OF_CHARGE

    async def _counted(self, call: Call, ask: Ask, media: Media, decision: CountFirst, *, local: bool) -> PromptSize:
        try:
            bound = Bound(decision.most_prompt_tokens, ask.prompt_tokens)
            return await self._counting.size(ask.subject, call.route, call.body, media, bound=bound)
        except BaseException:
            if local:  # the store may have reserved before it failed, and is not asked again
                self._room.release_later(ask)
            raise

    async def allowed_model(self, caller: Caller, body: Mapping[str, Any]) -> tuple[Caller, Model]:
        """The model that a body names, and the caller, whose record may have been read anew. Raises `BadRequest`,
        `ModelNotFound`, `ModelNotAllowed`."""
        policy = self._policy.current
        model = self._access.model(policy, caller, body)
        return await self._access.allowed(policy, caller, model, ()), model

    def may_be_refused(self, principal: Caller) -> bool:
        """Whether `known_refusal` may concern a request of this principal, whatever it asks."""
        known = self._room.known
        return not known.is_empty if principal.may_name_users else known.refusal_of_any_request(principal) is not None

    def known_refusal(self, caller: Caller, body: dict[str, Any]) -> GatewayError | None:
        """The error that `admit` would raise, where it is known already; else `None`. Raises `GatewayError`s of what is
        wrong with the request, as `admit` does before that one."""
        error = self._room.known.refusal_of_any_request(caller)
        if error is None:
            return None
        policy = self._policy.current
        model = self._access.model(policy, caller, body)
        wants = features_of(taken_options(body, policy.features))
        is_allowed = caller.allows(model.name) and not missing_feature(policy, caller, wants)
        return error if is_allowed else None
