"""May this caller send this request, and is there room for it?"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalix.domain.errors import BadRequest, GatewayError, ModelNotFound
from scalix.domain.fallbacks import may_serve
from scalix.domain.ledger.outcomes import UNPRICED
from scalix.domain.limits.quota import FREE_OF_CHARGE, Admitted, Ask, CountFirst, Decision, Refused, Stale
from scalix.domain.policy import Model, Policy
from scalix.domain.prices.peak_prices import PPM, marked_up
from scalix.domain.prices.pricing import calculate
from scalix.domain.redaction.foreign_texts import shown_text
from scalix.domain.requests.features import features_of, taken_options
from scalix.domain.requests.model_names import did_you_mean
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.media_tokens import Media
from scalix.domain.tokens.output_cap import FLOOR_TOKENS, OutputRequest, output_request, with_cap
from scalix.domain.tokens.prompt_size import PromptSize, estimated_size
from scalix.domain.tokens.usage import Usage
from scalix.service.exchange.asked_prices import dearest_prices, refuse_unpriced
from scalix.service.exchange.exchanges import Exchange, Exchanges
from scalix.service.exchange.known_refusals import KnownRefusals
from scalix.service.exchange.names_of_day import NamesOfDay
from scalix.service.exchange.not_allowed import missing_feature, not_allowed
from scalix.service.exchange.object_ids import NOTHING, NamedObjects
from scalix.service.exchange.outage import Outage, store_is_down
from scalix.service.exchange.refusals import refusal
from scalix.service.exchange.token_counting import TokenCounting
from scalix.service.exchange.unknown_sizes import refuse_unknown_size, refuse_unmeasured
from scalix.service.identity.callers import Caller
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource
from scalix.store.base import CallRejected, QuotaStore, StoreUnavailable

DEFAULT_MAX_OUTPUT_TOKENS = 4_096
_MOST_ASKS = 5  # records change under us, and what is left while a prompt is counted

log = logging.getLogger("scalix.admission")

ModelFacts = Callable[[Model], Model]


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the edge read it. `body` is changed in place: the output cap is written into it. `named` is what
    it names that a provider keeps."""

    request_id: str
    route: Route
    body: dict[str, Any]
    named: NamedObjects = NOTHING

    @property
    def streamed(self) -> bool:
        """Whether the client asked for a stream."""
        return self.body.get("stream") is True


class Admission:
    """Judges calls and reserves their room. `facts` completes a configured model with what else is known of it.
    `counting` counts the prompts on whose exact size it depends; the others are estimated.

    `now_ms` gives Unix time, by which prices are chosen; `clock` seconds, monotonic.
    """

    def __init__(
        self,
        store: QuotaStore,
        users: UserDirectory,
        policy: PolicySource,
        exchanges: Exchanges,
        outage: Outage,
        counting: TokenCounting,
        *,
        facts: ModelFacts = lambda model: model,
        names: NamesOfDay | None = None,
        known: KnownRefusals | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._users = users
        self._policy = policy
        self._exchanges = exchanges
        self._outage = outage
        self._counting = counting
        self._facts = facts
        self._names = names
        self._known = known or KnownRefusals()
        self._now_ms = now_ms
        self._clock = clock

    async def admit(self, caller: Caller, call: Call) -> Exchange:
        """The exchange, with its room reserved and its cap written into the body. Raises `GatewayError`s."""
        began_s = self._clock()
        policy = self._policy.current
        model = self._known_model(policy, caller, call.body)
        options = taken_options(call.body, policy.features)
        wants = features_of(options)
        caller = await self._allowed(policy, caller, model, wants)
        if call.named.are_refused(caller):
            caller = await self._reread(caller)
        known = self._known.refusal_of_any_request(caller)
        if known is not None:
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
            refuse_unpriced(caller, call.route, model, self._now_ms())
            media = Media(tuple(dict.fromkeys(model.provider_model for model in serving)))
            size = counted or estimated_size(call.route, call.body, media)
            if for_nothing:
                serving = tuple(one for one in serving if self._is_free(one, call, size, caller))
            ask = self._ask(caller, call, serving, wanted, size, among_others)
            refuse_unmeasured(caller, call.body, media)
            known = self._known.refusal(caller, ask)
            if known is not None:
                raise known
            decision, local = await self._decide(caller, ask)
            if isinstance(decision, Admitted):
                try:
                    with_cap(call.route, call.body, wanted, decision.receipt.output_cap_tokens)
                except BaseException:
                    self._outage.release_later(ask)
                    raise
                exchange = Exchange(
                    request_id=call.request_id,
                    caller=caller,
                    route=call.route,
                    model=model.name,
                    among_others=among_others,
                    streamed=call.streamed,
                    limits=ask.limits,
                    admitted=decision,
                    prices=ask.prices,
                    choices=ask.choices,
                    asked_cap_tokens=wanted.cap_tokens,
                    local=local,
                    options=options,
                    models=models,
                    serving=frozenset(one.name for one in serving),
                    names_objects=call.named.any,
                    holds_ids=call.named.ids,
                    began_s=began_s,
                )
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
            caller = await self._allowed(policy, await self._reread(caller), model, wants)
        raise store_is_down()

    def _is_free(self, model: Model, call: Call, size: PromptSize, caller: Caller) -> bool:
        return dearest_prices((model,), call.body, size.tokens, caller.tier, self._now_ms()) == FREE_OF_CHARGE

    async def _counted(self, call: Call, ask: Ask, media: Media, decision: CountFirst, *, local: bool) -> PromptSize:
        try:
            return await self._counting.size(
                ask.subject,
                call.route,
                call.body,
                media,
                estimate_tokens=ask.prompt_tokens,
                most_tokens=decision.most_prompt_tokens,
            )
        except BaseException:
            if local:  # the store may have reserved before it failed, and is not asked again
                self._outage.release_later(ask)
            raise

    async def allowed_model(self, caller: Caller, body: Mapping[str, Any]) -> tuple[Caller, Model]:
        """The model that a body names, and the caller, whose record may have been read anew. Raises `BadRequest`,
        `ModelNotFound`, `ModelNotAllowed`."""
        policy = self._policy.current
        model = self._known_model(policy, caller, body)
        return await self._allowed(policy, caller, model, ()), model

    @property
    def knows_refused(self) -> bool:
        """Whether there is a caller whom `known_refusal` may concern."""
        return not self._known.is_empty

    def is_refused(self, caller: Caller) -> bool:
        """Whether a caller is known to be refused, whatever they ask."""
        return self._known.refusal_of_any_request(caller) is not None

    def known_refusal(self, caller: Caller, body: dict[str, Any]) -> GatewayError | None:
        """The error that `admit` would raise, where it is known already; else `None`. Raises `GatewayError`s of what is
        wrong with the request, as `admit` does before that one."""
        error = self._known.refusal_of_any_request(caller)
        if error is None:
            return None
        policy = self._policy.current
        model = self._known_model(policy, caller, body)
        wants = features_of(taken_options(body, policy.features))
        is_allowed = caller.allows(model.name) and not missing_feature(policy, caller, wants)
        return error if is_allowed else None

    async def _decide(self, caller: Caller, ask: Ask) -> tuple[Decision, bool]:
        """The store's decision, or the one made in its place, and whether it is such a one. Raises `StoreIsDown`."""
        try:
            decision = await self._store.admit(ask)
            self._known.learn(ask, decision)
            if isinstance(decision, Admitted):
                self._outage.learn(caller, decision.receipt.admitted_ms, decision.tallies, decision.key_tallies)
        except CallRejected as fault:
            # The store is there and could not judge this one: to go on without it would let it through unjudged.
            log.error("request %s was not admitted: %s", ask.request_id, fault)
            raise store_is_down() from None
        except StoreUnavailable as fault:
            return await self._outage.admit(caller, ask, fault), True
        except BaseException:
            # A cancellation, or a fault of ours: nobody knows whether there is a reservation.
            self._outage.release_later(ask)
            raise
        return decision, False

    def _known_model(self, policy: Policy, caller: Caller, body: Mapping[str, Any]) -> Model:
        name = body.get("model")
        if not isinstance(name, str) or not name:
            raise BadRequest("'model' is missing: name one of the models that GET /v1/models lists.", param="model")
        model = policy.models_with(name).get(name)
        if model is None:
            meant = did_you_mean(name, filter(caller.allows, policy.models))
            message = f"The model '{shown_text(name)}' does not exist here. {meant}GET /v1/models lists those that do."
            raise ModelNotFound(message, param="model")
        return self._facts(model)

    async def _allowed(self, policy: Policy, caller: Caller, model: Model, wants: Sequence[str]) -> Caller:
        """The caller, read anew if that is what it takes to let them use `model` and the features that they want.

        Raises `ModelNotAllowed`, `FeatureNotAllowed`.
        """
        if not caller.allows(model.name) or missing_feature(policy, caller, wants):
            caller = await self._reread(caller)
        if not caller.allows(model.name):
            raise not_allowed(policy, caller, model.name)
        missing = missing_feature(policy, caller, wants)
        if missing is not None:
            raise missing
        return caller

    async def _reread(self, caller: Caller) -> Caller:
        if caller.reread is None:
            return caller
        try:
            return await caller.reread()
        except StoreUnavailable:
            raise store_is_down() from None

    def _ask(
        self,
        caller: Caller,
        call: Call,
        serving: Sequence[Model],
        wanted: OutputRequest,
        size: PromptSize,
        among_others: bool,
    ) -> Ask:
        model = serving[0]
        cap = model.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS
        if caller.tier and caller.tier.max_output_tokens is not None:
            cap = min(cap, caller.tier.max_output_tokens)
        if wanted.cap_tokens is not None:
            cap = min(cap, wanted.cap_tokens)
        if wanted.min_tokens > FLOOR_TOKENS and cap < wanted.min_tokens:
            message = (
                f"Thinking takes {wanted.min_tokens - 1} tokens of the answer, and one of '{model.name}' may have "
                f"{cap} here. Ask for a smaller thinking budget."
            )
            raise BadRequest(message, param="thinking")
        tier = caller.tier
        prompt_tokens = size.tokens
        now_ms = self._now_ms()
        price = model.price_at(now_ms)
        prompt_cost_nano_usd = calculate(price, Usage(prompt_tokens, 0), now_ms) if price else 0
        return Ask(
            request_id=call.request_id,
            subject=str(caller.subject),
            limits=caller.limits,
            prompt_tokens=prompt_tokens,
            output_cap_tokens=cap,
            min_output_tokens=min(cap, wanted.min_tokens),
            choices=wanted.choices,
            prices=dearest_prices(serving, call.body, prompt_tokens, tier, now_ms),
            user_version=caller.version,
            tier=tier.name if tier else "",
            key=caller.key.scope if caller.key else None,
            model=model.name,
            among_others=among_others,
            is_billed=tier is not None and tier.markup_ppm > 0,
            prepaid=tier is not None and tier.prepaid,
            prompt_cost_nano_usd=prompt_cost_nano_usd,
            prompt_charge_nano_usd=marked_up(prompt_cost_nano_usd, (tier.markup_ppm or PPM) if tier else PPM),
            price_version=price.version if price else UNPRICED,
            least_prompt_tokens=size.least_tokens,
        )
