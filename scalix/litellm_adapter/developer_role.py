"""The role `developer` reaches those who know it: OpenAI and Azure. LiteLLM makes `system` of it for nearly all models.

Other servers of OpenAI's format get `system`: the templates of most models know no `developer`, and what their users
mean by it is the same.
"""

import os
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from scalix.litellm_adapter.providers import provider_of

_DEVELOPER = "developer"
_OPENAIS = ("openai.com", "azure.com", "azure.us", "azure.cn")
_ADDRESSES = ("OPENAI_BASE_URL", "OPENAI_API_BASE")  # where LiteLLM looks for one
_KEEPS: ContextVar[bool] = ContextVar("scalix_keeps_developer", default=False)


def keep_developer_role() -> None:
    """Have LiteLLM leave the role alone where `note_role` has said so."""
    from litellm.llms.base_llm.chat.transformation import BaseConfig

    translate = BaseConfig.translate_developer_role_to_system_role
    if hasattr(translate, "scalix"):
        return

    def translate_developer_role_to_system_role(self: Any, messages: list[Any]) -> list[Any]:
        return messages if _KEEPS.get() else translate(self, messages)

    translate_developer_role_to_system_role.scalix = True  # type: ignore[attr-defined]
    setattr(BaseConfig, translate.__name__, translate_developer_role_to_system_role)


def note_role(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Note whether the deployment that is called with these arguments knows the role. They stay as they are."""
    messages = kwargs.get("messages")
    has_role = isinstance(messages, list) and any(
        isinstance(message, dict) and message.get("role") == _DEVELOPER for message in messages
    )
    _KEEPS.set(has_role and knows_developer(kwargs))
    return kwargs


def knows_developer(kwargs: dict[str, Any]) -> bool:
    """Whether a call goes to OpenAI itself, or to its models at Azure."""
    try:
        _, provider = provider_of(kwargs)
    except Exception:
        return False
    if provider == "azure":
        return True
    base = kwargs.get("api_base") or kwargs.get("base_url")
    base = base or next((found for name in _ADDRESSES if (found := os.environ.get(name))), None)
    return provider == "openai" and (not base or _is_openais(str(base)))


def _is_openais(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return any(host == domain or host.endswith(f".{domain}") for domain in _OPENAIS)
