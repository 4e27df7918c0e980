"""The routes that tell callers which models they may use."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scalix.domain.errors import InvalidApiKey, ModelNotFound
from scalix.domain.health_checks import Checked
from scalix.domain.policy import Model
from scalix.domain.redaction.foreign_texts import shown_text
from scalix.domain.requests.model_names import did_you_mean
from scalix.edge import model_views as views
from scalix.edge.asgi import Scope, credential_of, is_anthropics
from scalix.edge.own_address import base_url
from scalix.edge.queries import query_of
from scalix.edge.rows import Access, Request, Row
from scalix.edge.user_header import take_user
from scalix.service.exchange.model_routing import routes_of
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable

LastChecks = Callable[[], Awaitable[Mapping[str, Checked]]]


async def none_checked() -> Mapping[str, Checked]:
    """Where nobody checks."""
    return {}


@dataclass(frozen=True, slots=True)
class ModelRoutes:
    """Tells callers of their models. `facts` completes a configured model with what else is known of it; `checked`
    tells the last health checks, `rests_s` how long a deployment rests yet after failures."""

    identity: Identity
    policy: PolicySource
    facts: Callable[[Model], Model] = lambda model: model
    checked: LastChecks = none_checked
    rests_s: Callable[[str], float] = lambda name: 0.0

    async def listing(self, asked: Request) -> views.ListOfOpenAIs | views.ListOfAnthropics:
        """OpenAI's and Anthropic's list. Raises `InvalidApiKey`."""
        return views.listed(list(await self._models_of(asked.scope)), anthropic=is_anthropics(asked.scope))

    async def one(self, asked: Request) -> views.OpenAIs | views.Anthropics:
        """The model that the path names. Raises `InvalidApiKey`, `ModelNotFound`."""
        scope = asked.scope
        name = scope["path"].split("/models/", 1)[1]
        models = await self._models_of(scope, name)
        if name not in models:
            meant = did_you_mean(name, models)
            message = (
                f"The model '{shown_text(name)}' does not exist here, or your tier does not have it. {meant}".strip()
            )
            raise ModelNotFound(message, param="model")
        return views.anthropics(name) if is_anthropics(scope) else views.openais(name)

    async def litellms(self, asked: Request) -> views.LiteLLMs:
        """LiteLLM's list. Raises `InvalidApiKey`."""
        return await self._facts_of_all(asked, views.litellms)

    async def litellms_groups(self, asked: Request) -> views.LiteLLMsGroups:
        """LiteLLM's list of groups, each of which is one model here. Raises `InvalidApiKey`."""
        return await self._facts_of_all(asked, views.litellms_group)

    async def engines(self, asked: Request) -> views.Engines:
        """Which engine serves each model and wildcard of the config, and how it does, for the operator."""
        policy = self.policy.current
        return views.engines({**policy.models, **policy.wildcards}.values(), await self.checked(), self.rests_s)

    async def _facts_of_all(self, asked: Request, view: Callable[[Model], dict[str, Any]]) -> dict[str, Any]:
        return {"data": [view(self.facts(model)) for model in (await self._models_of(asked.scope)).values()]}

    async def _models_of(self, scope: Scope, asked: str = "") -> dict[str, Model]:
        """By their names, second names and routes, the models in service that the caller may use; a wildcard's is
        among them where it is `asked` for."""
        caller = await self._charged(scope)
        policy = self.policy.current
        models = {name: model for name, model in policy.models_with(asked).items() if caller.allows(name)}
        others = {alias: replace(models[name], name=alias) for alias, name in policy.aliases.items() if name in models}
        routes = {name: replace(model, name=name) for name, model in routes_of(policy, caller)}
        return {**models, **others, **routes}

    async def _charged(self, scope: Scope) -> Caller:
        try:
            principal = await self.identity.authenticate(credential_of(scope))
        except InvalidApiKey as error:
            raise _with_example(error, scope) from None
        named: dict[str, Any] = dict(query_of(scope))
        take_user(self.policy.current.guard.user_header, scope, principal, named)
        caller = await self.identity.charged_caller(principal, named)
        try:
            # No admission follows that would compare versions, so what was revoked must show here.
            return caller if caller.reread is None else await caller.reread()
        except StoreUnavailable:
            return caller


def _with_example(error: InvalidApiKey, scope: Scope) -> InvalidApiKey:
    """The error of who asks for the models, often in a browser or before anything else: with a request to paste."""
    fresh = error.anew()
    fresh.answers = None
    fresh.message += f' For example: curl {base_url(scope)}/v1/models -H "Authorization: Bearer <key>"'
    return fresh


_USER = ("user",)
MODEL_ROWS: tuple[Row[ModelRoutes], ...] = (
    Row("GET", "/v1/models", ModelRoutes.listing, Access.CALLERS, also=("/models",), query=_USER),
    Row("GET", "/v1/models/{id}", ModelRoutes.one, Access.CALLERS, also=("/models/{id}",), holds_slashes=True),
    Row("GET", "/v1/model/info", ModelRoutes.litellms, Access.CALLERS, also=("/model/info",), query=_USER),
    Row("GET", "/model_group/info", ModelRoutes.litellms_groups, Access.CALLERS, query=_USER),
    Row("GET", "/scalix/v1/models", ModelRoutes.engines),
)
