"""The names of LiteLLM that this project uses, with what they take. A name that is missing here, or has gone there
(`tests/test_typings.py`), is an error. What it returns is its own."""

from typing import Any

from litellm import exceptions as exceptions
from litellm import utils as utils
from litellm.exceptions import APIConnectionError as APIConnectionError
from litellm.exceptions import BadRequestError as BadRequestError
from litellm.router import Router as Router
from litellm.types.utils import ModelResponse as ModelResponse
from litellm.types.utils import Usage as Usage

DEFAULT_MAX_RETRIES: int
aclient_session: Any
cache: Any
callbacks: list[Any]
custom_provider_map: list[Any]
disable_hf_tokenizer_download: bool | None
drop_params: bool
global_disable_no_log_param: bool
model_cost: dict[str, Any]
open_ai_chat_completion_models: set[str]
network_mock: bool
openai_compatible_providers: list[str]
provider_list: list[Any]

class AnthropicConfig:
    def __init__(self) -> None: ...
    def __getattr__(self, name: str) -> Any: ...

async def acompletion(model: str, messages: list[Any], **options: Any) -> Any: ...
async def ahealth_check(
    model_params: dict[str, Any], mode: str | None = None, prompt: str | None = None, input: list[str] | None = None
) -> dict[str, Any]: ...
async def atext_completion(**options: Any) -> Any: ...
async def adelete_responses(response_id: str, **options: Any) -> Any: ...
async def aget_responses(response_id: str, **options: Any) -> Any: ...
def completion(model: str, messages: list[Any], **options: Any) -> Any: ...
def completion_cost(completion_response: Any, **options: Any) -> float: ...
def get_llm_provider(
    model: str, custom_llm_provider: str | None = None, api_base: str | None = None
) -> tuple[str, str, str | None, str | None]: ...
def get_supported_openai_params(model: str, custom_llm_provider: str | None = None) -> list[str] | None: ...
def register_model(model_cost: Any) -> Any: ...
def responses(input: Any, model: str, **options: Any) -> Any: ...
def token_counter(
    model: str = "", custom_tokenizer: Any = None, text: Any = None, messages: Any = None, **options: Any
) -> int: ...
