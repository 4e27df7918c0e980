"""Every name of LiteLLM's, and of the insides of OpenAI's SDK, httpx and aiohttp, that the adapter touches.

A release may rename any of them, so each is listed here, with the modules of ours that need it and what happens without
it. `seam_checks` compares the list with what is installed. See `docs/upgrading.md`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

# Middleware of its proxy that has nothing to do behind the edge: name -> what in LiteLLM's config gives it something to
# do after all: patterns, for the text in small letters.
MIDDLEWARE: Mapping[str, tuple[str, ...]] = {
    # The edge is the only client, and writes the headers itself.
    "CORSMiddleware": (),
    "SecurityHeadersMiddleware": (),
    "GZipBufferedResponseMiddleware": (),
    "PrometheusAuthMiddleware": (),
    # Need its database or its licence.
    "BillableRequestMetricsMiddleware": (),
    "BudgetReservationReleaseMiddleware": (),
    "RequestSizeLimitMiddleware": (),
    # The edge counts what is in flight, and uvicorn waits for it at the end.
    "InFlightRequestsMiddleware": (),
    "AdmissionControlMiddleware": ("admission",),
    "RedisRequestBatchMiddleware": ("redis", r"""(?m)^\s*["']?cache(?:_params)?["']?\s*:"""),
}

# Indented by nothing: modules of ours, and what happens without the names below them, if the gateway starts then too.
# By two: the modules that have them, and the names there, which may go on in lines indented by four; each with the
# parameters that we pass or take, and with what it must be besides.
_LIST = """
app
  litellm = DEFAULT_MAX_RETRIES; disable_hf_tokenizer_download; global_disable_no_log_param; model_cost: dict
  litellm.constants = MAX_IMAGE_URL_DOWNLOAD_SIZE_MB
  litellm.proxy.proxy_server = app
  litellm.responses.utils = ResponsesAPIRequestUtils.decode_container_id_to_original
bounded_answers
  aiohttp.streams = StreamReader._read_nowait(n)
  litellm.llms.custom_httpx.aiohttp_transport = AiohttpResponseStream._aiohttp_response
bounded_sending | a request on a connection whose other end has gone may wait a quarter of an hour
  litellm.llms.custom_httpx.http_handler = build_aiohttp_keepalive_socket_factory()
bounded_work
  litellm = exceptions
  litellm.llms.base_llm.chat.transformation = BaseLLMException: error
bounded_work | a client's text may hold up everybody else
  litellm litellm.litellm_core_utils.streaming_chunk_builder_utils litellm.main litellm.utils =
    token_counter(model, custom_tokenizer, text, messages, use_default_image_token_count)
  litellm.litellm_core_utils.prompt_templates.common_utils = _is_not_python_regex(pattern)
  litellm.litellm_core_utils.secret_redaction = _SECRET_RE; _python_redact_internal_details(value)
broken_framing
  aiohttp.client_proto = ResponseHandler._payload; ResponseHandler.set_exception(exc)
callbacks
  litellm.integrations.custom_logger =
    CustomLogger.async_log_failure_event(kwargs, response_obj, start_time, end_time)
    CustomLogger.async_log_success_event(kwargs, response_obj, start_time, end_time)
    CustomLogger.async_post_call_failure_hook(request_data, original_exception, user_api_key_dict, traceback_str)
    CustomLogger.async_post_call_success_hook(data, user_api_key_dict, response)
    CustomLogger.async_pre_call_deployment_hook(kwargs, call_type)
    CustomLogger.async_pre_call_hook(user_api_key_dict, cache, data, call_type)
  litellm.types.utils = CallTypes.acompletion; CallTypes.completion
callbacks direct_endpoints plain_mode
  litellm.proxy._types = UserAPIKeyAuth(metadata)
client_urls
  litellm.litellm_core_utils.url_utils = SSRFError: error
client_urls | the lookup of a client's URL may hold up everybody else
  litellm.litellm_core_utils.url_utils = asyncio; validate_url(url)
developer_role
  litellm.llms.base_llm.chat.transformation = BaseConfig.translate_developer_role_to_system_role(messages)
direct_endpoints
  litellm.proxy._types = UserAPIKeyAuth.authenticated_by_custom_auth; UserAPIKeyAuth.request_route
  litellm.proxy.auth.user_api_key_auth = user_api_key_auth
direct_endpoints | nothing is left out there
  litellm.proxy.proxy_server = app.exception_handlers: dict; app.user_middleware: list
dropped_values
  litellm.utils =
    get_optional_params(model, custom_llm_provider, drop_params, tools, tool_choice, temperature, reasoning_effort)
dropped_values known_fields
  litellm.exceptions = UnsupportedParamsError: error
health_checks
  litellm = ahealth_check(model_params, mode, prompt, input)
  litellm.proxy.health_check = resolve_health_check_mode(model_info, litellm_params)
    update_litellm_params_for_health_check(model_info, litellm_params)
kept_caps known_fields
  litellm = get_supported_openai_params(model, custom_llm_provider)
known_fields
  litellm = Router.get_model_list(model_name); drop_params; openai_compatible_providers
  litellm.llms.base_llm.responses.transformation = BaseResponsesAPIConfig.get_supported_openai_params(model)
    BaseResponsesAPIConfig.map_openai_params(response_api_optional_params, model, drop_params)
  litellm.llms.openai.responses.transformation = OpenAIResponsesAPIConfig
  litellm.types.llms.openai = Reasoning; ResponsesAPIOptionalRequestParams
  litellm.types.utils = LlmProviders
  litellm.utils = ProviderConfigManager.get_provider_anthropic_messages_config(model, provider)
    get_optional_params_embeddings(model, custom_llm_provider, drop_params, dimensions, encoding_format, user)
direct_client
  httpx = AsyncClient._transport; AsyncClient._transport_for_url(url)
  litellm.llms.custom_httpx.aiohttp_transport = AiohttpResponseStream(aiohttp_response); map_aiohttp_exceptions
    LiteLLMAiohttpTransport.get_valid_client_session; LiteLLMAiohttpTransport._get_proxy_settings(request)
    LiteLLMAiohttpTransport._ssl_verify
direct_requests
  litellm = Router.get_model_list(model_name); Router._get_timeout(kwargs, data)
    Router._deployment_params_with_request_reasoning_override(deployment_params, request_kwargs)
direct_requests known_fields stored_answers
  litellm.proxy.proxy_server = llm_router
known_fields stored_answers
  litellm.utils = ProviderConfigManager.get_provider_responses_api_config(model, provider)
large_answers
  litellm = cache
response_requests
  litellm = Router._update_kwargs_with_deployment(deployment, kwargs, function_name)
  litellm.llms.custom_httpx.llm_http_handler = BaseLLMHTTPHandler.async_response_api_handler
  litellm.responses.main = responses(input, model, litellm_logging_obj, aresponses)
  litellm.responses.utils = ResponsesAPIRequestUtils.update_responses_api_response_id_with_model_id
  litellm.router_utils.common_utils = provider_for_generic_call(litellm_params)
request_building
  litellm.main = completion(model, messages, stream, acompletion, litellm_logging_obj)
    embedding(model, input, aembedding, litellm_logging_obj); text_completion(prompt, model, acompletion)
  litellm.utils = _is_gemini_model(model, custom_llm_provider)
    _remove_thought_signatures_from_messages(messages, thought_signature_separator)
plain_mode
  litellm.proxy.common_utils.http_parsing_utils = read_request_body(request)
provider_transport
  httpx = AsyncHTTPTransport.handle_async_request(request); HTTPTransport.handle_request(request)
  litellm = custom_provider_map: list
  litellm.llms.custom_httpx.aiohttp_transport = LiteLLMAiohttpTransport.handle_async_request(request)
providers
  litellm = get_llm_provider(model, custom_llm_provider, api_base)
sdk_models | nothing is left out there
  litellm.types.utils = StreamingChoices: open model; StreamingChoices.__pydantic_setattr_handlers__
  openai._base_client = BaseClient._process_response_data(data, cast_to, response)
    BaseClient._strict_response_validation
  openai._models = _construct_field(value, field, key); _get_extra_fields_type
shared_client
  litellm = aclient_session; network_mock
direct_requests shared_client
  litellm.llms.openai.common_utils = BaseOpenAILLM.get_async_http_client(shared_session)
  litellm.proxy.proxy_server = shared_aiohttp_session
short_waits | a retry may keep its request for as long as the provider asks, up to a minute
  litellm.router = Router._time_to_sleep_before_retry(e)
single_deltas | parallel tool calls in one chunk come out wrong
  litellm.llms.anthropic.pass_through.adapters.transformation = AnthropicStreamWrapper(completion_stream)
  litellm.responses.litellm_completion_transformation.handler =
    LiteLLMCompletionStreamingIterator(litellm_custom_stream_wrapper)
single_deltas
  litellm.types.utils = Delta(role, content, tool_calls, reasoning_content, thinking_blocks)
    ModelResponseStream(id, created, model, choices); StreamingChoices(index, delta, finish_reason)
stored_answers
  litellm = Router.get_deployment(model_id); adelete_responses(response_id, custom_llm_provider)
    aget_responses(response_id, custom_llm_provider)
  litellm.responses.utils = ResponsesAPIRequestUtils.decode_responses_api_response_id
straight_through | each event of a stream that is passed on wakes a task again
  aiohttp.client_proto = ResponseHandler._on_read_timeout; ResponseHandler._reading_paused
    ResponseHandler.read_timeout; ResponseHandler.start_timeout
  aiohttp.streams = StreamReader._buffer; StreamReader._http_chunk_splits; StreamReader._waiter
    StreamReader.total_bytes
texts_by_responses
  litellm = open_ai_chat_completion_models: set
trimmed_reports | nothing is left out there
  litellm.litellm_core_utils.litellm_logging = Logging._build_standard_logging_payload(init_response_obj)
    Logging._response_cost_calculator(result); Logging.litellm_params; Logging.model_call_details
    Logging.response_cost_calculator(result)
trimmed_calls | nothing is left out there
  litellm.router = Router._increment_deployment_usage
  openai._utils = is_given
  openai.resources.chat.completions.completions = async_maybe_transform(data, expected_type)
warm_up
  litellm = acompletion
  litellm.llms.custom_httpx.http_handler = get_ssl_configuration
"""
NEEDED = "the gateway does not start"
_NAME = re.compile(r"(?P<path>[\w.]+)(?:\((?P<parameters>.*)\))?(?:: (?P<kind>.+))?")


@dataclass(frozen=True, slots=True)
class Seam:
    """One name, `module:path`. `parameters` are those that we pass or take, `kind` is what it must be besides, `users`
    our modules, `without` what happens where it is not as it must be."""

    name: str
    parameters: frozenset[str]
    kind: str | None
    users: tuple[str, ...]
    without: str

    @property
    def is_needed(self) -> bool:
        return self.without == NEEDED


def _read(text: str) -> Iterator[Seam]:
    users, without, modules = "", "", list[str]()
    for line in text.strip().splitlines():
        if not line.startswith(" "):
            users, _, without = line.partition(" | ")
            continue
        named, _, names = line.rpartition(" =")
        modules = named.split() or modules
        for module, written in product(modules, filter(None, names.strip().split("; "))):
            found = _NAME.fullmatch(written)
            if found is None:
                raise ValueError(written)
            parameters = frozenset((found["parameters"] or "").split(", ")) - {""}
            place = f"{module}:{found['path']}"
            yield Seam(place, parameters, found["kind"], tuple(users.split()), without or NEEDED)


def _of_middleware() -> Iterator[Seam]:
    for name in MIDDLEWARE:
        place = f"litellm.proxy.proxy_server:app.user_middleware[{name}]"
        yield Seam(place, frozenset(), None, ("direct_endpoints",), "nothing is left out there")


SEAMS: tuple[Seam, ...] = (*_read(_LIST), *_of_middleware())
