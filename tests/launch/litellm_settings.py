"""Every setting that LiteLLM's code has a name for, found in its types and its source."""

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.launch.litellm_names import litellm_folder


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What stands in LiteLLM's module and is none of its settings: functions, clients, registries and what it works out.
_NO_SETTINGS = _words(
    """
    aclient_session acreate adapters azure_llms bedrock_tool_name_mappings calculate_retry_after
    check_valid_key client_session completion_cost config_path cost_per_token decode encode get_api_base
    get_first_chars_messages get_max_tokens get_model_info get_provider_fields get_response_string
    get_supported_openai_params guardrail_name_config_map in_memory_llm_clients_cache
    initialized_langfuse_clients litellm_mode logging_callback_manager model_list model_list_set
    models_by_provider modify_integration module_level_aclient module_level_client
    prompt_name_config_map provider_list register_model register_prompt_template
    remove_index_from_tool_calls response_cost_calculator secret_manager_client should_retry
    supports_audio_input supports_audio_output supports_box_questions supports_function_calling
    supports_parallel_function_calling supports_reasoning supports_response_schema
    supports_system_messages supports_url_context supports_video_input supports_vision
    supports_web_search validate_environment
"""
)
# Arguments of its functions that no config can mean: what a call carries within LiteLLM.
_NO_PARAMS = _words(
    """
    acompletion aembedding aimg_generation allm_passthrough_route allowed_model_region async_call
    atext_completion attempted_targets azure azure_ad_token_provider client client_side_timeout
    complete_response completion_call_id enable_tag_filtering fallback_depth fastest_response
    force_timeout id litellm_call_id litellm_logging_obj litellm_metadata litellm_session_id
    litellm_trace_id litellm_trusted_callback_vars log_client_error_tracebacks logger_fn
    max_agentic_loops model_config model_file_id_mapping no-log proxy_server_request routing_strategy
    secret_fields self shared_session stream_chunk_size stream_response text_completion use_client
"""
)
_GENERAL = re.compile(r"general_settings(?:\.get\(|\[)\s*[\"']([a-z_0-9]+)")
_MODULE = re.compile(r"litellm_settings(?:\.get\(|\[)\s*[\"']([a-z_0-9]+)|\bkey == \"([a-z_0-9]+)\"")
_SECTION = re.compile(r"\bconfig(?:\.get\(|\[)\s*[\"']([a-z_0-9]+)")


def names_in_sections() -> set[str]:
    """The sections of a config file that its proxy reads."""
    return set(_SECTION.findall(_source("proxy/proxy_server.py"))) - {"force_reload", "interval_hours"}


def names_in_params() -> set[str]:
    """What a deployment may say: its types for one, the arguments of a completion, and what it takes for its own."""
    from litellm.constants import DEFAULT_CHAT_COMPLETION_PARAM_VALUES, OPENAI_CHAT_COMPLETION_PARAMS
    from litellm.types.router import GenericLiteLLMParams, LiteLLM_Params, LiteLLMParamsTypedDict
    from litellm.types.utils import all_litellm_params

    found = {*GenericLiteLLMParams.model_fields, *LiteLLM_Params.model_fields, *LiteLLMParamsTypedDict.__annotations__}
    found |= {*all_litellm_params, *OPENAI_CHAT_COMPLETION_PARAMS, *DEFAULT_CHAT_COMPLETION_PARAM_VALUES}
    return {name for name in found if not name.startswith("_")} - _NO_PARAMS


def names_in_router() -> set[str]:
    """The arguments of its router."""
    from litellm import Router

    return set(Router.get_valid_args())


def names_in_general() -> set[str]:
    """The fields of its type for `general_settings`, and the keys that its code asks for."""
    from litellm.proxy._types import ConfigGeneralSettings

    return {
        *ConfigGeneralSettings.model_fields,
        *(name for text in _proxy_sources() for name in _GENERAL.findall(text)),
    }


def names_in_module() -> set[str]:
    """The variables of its module, which `litellm_settings` sets, and the keys that its proxy reads of it."""
    tree = ast.parse(_source("__init__.py"))
    found = {name for name in _assigned(tree.body) if name.islower() and not name.startswith("_")}
    found = {name for name in found if not name.endswith(("_models", "_instance"))} - _NO_SETTINGS
    return found | {name for pair in _MODULE.findall(_source("proxy/proxy_server.py")) for name in pair} - {
        "",
        "undefined",
    }


def providers() -> set[str]:
    """What stands before the slash in the name of a model."""
    import litellm

    return {str(getattr(provider, "value", provider)) for provider in litellm.provider_list}


def _assigned(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _assigned([*node.body, *node.orelse])
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _proxy_sources() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted((litellm_folder() / "proxy").rglob("*.py"))]


@cache
def _source(name: str) -> str:
    return (litellm_folder() / name).read_text(encoding="utf-8")
