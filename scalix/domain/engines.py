"""Which engine asks a model's provider: the direct one, which passes on what is said in OpenAI's format, or LiteLLM."""

from collections.abc import Mapping
from dataclasses import dataclass

from scalix.domain.requests.routes import Route

_TEXTS = frozenset({Route.COMPLETIONS})
_CHAT = _TEXTS | {Route.CHAT}
_WITH_EMBEDDINGS = _CHAT | {Route.EMBEDDINGS}
_WITH_RESPONSES = frozenset({Route.RESPONSES})
DIRECT: Mapping[str, frozenset[Route]] = {
    "openai": _WITH_EMBEDDINGS | _WITH_RESPONSES,
    "hosted_vllm": _WITH_EMBEDDINGS | _WITH_RESPONSES,
    "openrouter": _WITH_EMBEDDINGS | _WITH_RESPONSES,
    "deepseek": _CHAT,
    "groq": _CHAT,
    "mistral": _WITH_EMBEDDINGS,
    "together_ai": _WITH_EMBEDDINGS,
    "fireworks_ai": _WITH_EMBEDDINGS | _WITH_RESPONSES,
    "xai": _CHAT | _WITH_RESPONSES,
    "azure": _WITH_EMBEDDINGS,
    "azure_text": _TEXTS,
    "text-completion-openai": _TEXTS,  # LiteLLM's name for OpenAI's completions
}
"""The providers that speak OpenAI's format, by LiteLLM's names, and the routes on which the direct engine asks them."""
ROUTE_OF_MODE: Mapping[str | None, Route] = {
    None: Route.CHAT,
    "chat": Route.CHAT,
    "completion": Route.COMPLETIONS,
    "responses": Route.RESPONSES,
    "embedding": Route.EMBEDDINGS,
}
"""The route that a model is for, by LiteLLM's word for its kind."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What serves a model. On the routes `direct` the direct engine asks; on all others, or where there are none,
    LiteLLM. `reason` says why, in words for the operator."""

    direct: frozenset[Route] = frozenset()
    reason: str = "nothing was decided"

    @property
    def name(self) -> str:
        """`direct` or `litellm`."""
        return "direct" if self.direct else "litellm"


LITELLM = Engine()


def engine_of(provider: str, mode: str | None, wants: str | None) -> Engine:
    """The engine of a model at `provider`, of LiteLLM's kind `mode`. `wants` says for what LiteLLM is needed, `None` if
    for nothing."""
    routes = DIRECT.get(provider, frozenset[Route]())
    route = ROUTE_OF_MODE.get(mode, Route.CHAT)
    if wants is not None:
        return Engine(reason=wants)
    if not provider:
        return Engine(reason="LiteLLM tells the provider by the model's name")
    if not routes:
        return Engine(reason=f"{provider} is translated")
    # What is no chat model to LiteLLM it asks another way for chats.
    direct = routes if route is Route.CHAT else routes & {route}
    if not direct:
        return Engine(reason=f"the direct engine has no {route.row.path}")
    return Engine(direct, f"{provider} speaks OpenAI's format")
