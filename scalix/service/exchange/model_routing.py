"""Chooses the model of a request that names a route."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from scalix.domain.limits.calendar import HOUR_MS
from scalix.domain.model_routes import Facts, Rules, asks_for, chosen, named_by
from scalix.domain.policy import Model, Policy
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.media_tokens import IMAGE_KINDS, Media
from scalix.domain.tokens.prompt_size import estimated_size
from scalix.service.exchange.tokens_left import TokensLeft
from scalix.service.identity.callers import Caller
from scalix.service.policy_source import PolicySource
from scalix.service.routing.custom_routers import CustomRouters, messages_of


class ModelRouting:
    """Writes the model into bodies that name a route. `now_ms` gives Unix time; `random` a number from 0 to below 1, by
    which models are chosen by weight."""

    def __init__(
        self,
        policy: PolicySource,
        left: TokensLeft,
        custom: CustomRouters,
        now_ms: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._left = left
        self.custom = custom
        self._now_ms = now_ms
        self._random = random

    async def route(self, caller: Caller, route: Route, body: dict[str, Any]) -> str:
        """Replace a route's name in a body by the model's. What was chosen and why, for the client to read; empty where
        nothing was: a name that the caller's tier has no rules for stays, and is no model. Raises `BadRequest`."""
        policy, name = self._policy.current, body.get("model")
        if not isinstance(name, str) or name not in policy.routes:
            return ""
        rules = rules_of(policy, caller, name)

        def usable(model: str) -> bool:
            return caller.allows(model) and model in policy.models_with(model)

        if rules and (model := await self._by_custom_router(caller, name, body, usable)) is not None:
            body["model"] = model
            return f"{name} -> {model}; custom_router"
        facts = await self._facts(caller, route, body, rules)
        found = chosen(rules, facts, usable, self._random)
        if found is None:
            return ""
        model, rule = found
        body["model"] = model
        return f"{name} -> {model}; {', '.join(rule.conditions) or 'else'}"

    async def _by_custom_router(
        self, caller: Caller, name: str, body: Mapping[str, Any], usable: Callable[[str], bool]
    ) -> str | None:
        """What the route's custom router answers, if it has one and that is a model which the caller may use."""
        router = self.custom.named_by(name)
        if router is None:
            return None
        answer = await router.answer(caller.subject.name, name, messages_of(body))
        if answer is None:
            return None
        policy = self._policy.current
        model = policy.aliases.get(answer, answer) if isinstance(answer, str) else ""
        if usable(model):
            return model
        if model in policy.models:
            router.warn_once(f"it answered {model} for a caller who may not use it; the route's rules decide")
        else:
            router.warn_once("it answered with no model of this gateway; the route's rules decide")
        return None

    async def _facts(self, caller: Caller, route: Route, body: Mapping[str, Any], rules: Rules) -> Facts:
        tokens, left = None, None
        if asks_for(rules, "prompt_tokens_over", "prompt_tokens_under"):
            tokens = estimated_size(route, body, Media()).tokens
        if asks_for(rules, "tokens_day_left_percent_under"):
            left = await self._left.percent(caller)
        images = asks_for(rules, "images") and _has_image(body.get("messages"), body.get("input"))
        has_tools = bool(body.get("tools") or body.get("functions"))
        return Facts(self._now_ms() // HOUR_MS % 24, has_tools, images, tokens, left)


def rules_of(policy: Policy, caller: Caller, name: str) -> Rules:
    """The rules that a caller's tier has for a route. The operator's own requests take those of the dearest tier."""
    by_tier = policy.routes.get(name, {})
    if caller.tier is not None:
        return by_tier.get(caller.tier.name, ())
    return next((by_tier[tier] for tier in reversed(tuple(policy.tiers)) if tier in by_tier), ())


def routes_of(policy: Policy, caller: Caller) -> Iterator[tuple[str, Model]]:
    """The routes that may lead a caller to a model, each with the first of these."""
    for name in policy.routes:
        for model in named_by(rules_of(policy, caller, name)):
            known = policy.models_with(model).get(model)
            if known is not None and caller.allows(model):
                yield name, known
                break


def _has_image(*parts: Any) -> bool:
    left: list[Collection[Any]] = [parts]
    while left:
        part = left.pop()
        if isinstance(part, dict) and part.get("type") in IMAGE_KINDS:
            return True
        items = part.values() if isinstance(part, dict) else part
        left += [item for item in items if isinstance(item, dict | list)]
    return False
