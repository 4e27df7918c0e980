"""Answers that a provider keeps: asked for at the deployment that made them, which LiteLLM writes into their ids.

LiteLLM's router would count a failure against the deployment and repeat the call; its own functions do not.
"""

from dataclasses import dataclass
from typing import Any

import re2

from scalix.litellm_adapter.providers import provider_of

# What is put into a provider's URL is one name there, whoever made it up.
_NAME = re2.compile(r"[A-Za-z0-9_.:=+-]{1,500}")
_OF_THE_CALL = ("model", "mock_response")


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One answer at its deployment. `ident` is its id as LiteLLM has it, `params` how the deployment is asked."""

    model: str
    ident: str
    params: dict[str, Any]

    async def get(self) -> dict[str, Any]:
        """The answer, as LiteLLM has it. Raises LiteLLM's exceptions."""
        import litellm

        answer = await litellm.aget_responses(response_id=self.ident, **self.params)
        return dict(answer.model_dump(mode="json", exclude_unset=True))

    async def delete(self) -> None:
        """Have it forgotten. Raises LiteLLM's exceptions."""
        import litellm

        await litellm.adelete_responses(response_id=self.ident, **self.params)


def stored_answer(ident: str) -> StoredAnswer | None:
    """The answer with this id; `None` if its deployment is not there, or is none that keeps answers."""
    from litellm.proxy import proxy_server
    from litellm.responses.utils import ResponsesAPIRequestUtils
    from litellm.utils import ProviderConfigManager

    decoded = ResponsesAPIRequestUtils.decode_responses_api_response_id(ident)
    router, model_id, name = proxy_server.llm_router, decoded.get("model_id"), decoded.get("response_id")
    deployment = router.get_deployment(model_id) if router is not None and model_id else None
    if deployment is None or not name or _NAME.fullmatch(name) is None or ".." in name:
        return None
    params = deployment.litellm_params.model_dump(exclude_none=True)
    _, provider = provider_of(params)
    config = ProviderConfigManager.get_provider_responses_api_config(model=None, provider=provider)
    if config is None or provider != decoded.get("custom_llm_provider"):
        return None
    kept = {field: value for field, value in params.items() if field not in _OF_THE_CALL}
    return StoredAnswer(deployment.model_name, ident, {**kept, "custom_llm_provider": provider})
