"""Decides which of the operator's variables LiteLLM gets to see.

LiteLLM reads some 1,300 variables by itself, whatever its config says: with `REDIS_HOST` it opens a cache of its
own, with `OPENAI_BASE_URL` it sends requests and keys elsewhere. Each of them is in a group here, by patterns
over whole names. A variable in no group is not LiteLLM's and passes, since modules beside the config read their
own.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from scalix.launch.config.references import referenced, texts

_OF_A_DATABASE = "of a database, and all state is in the gateway's store"

# Who answers requests. What is theirs and no address is a credential, or an option of theirs.
_PROVIDERS = (
    "A2A|ABLITERATION|AI21|AICORE|AIHUBMIX|AIML|AIMLAPI|ALEPHALPHA|ALEPH_ALPHA|AMAZON_NOVA|ANTHROPIC|ANYSCALE"
    "|APISERPENT|ARK|ASSEMBLYAI|BASETEN|BEDROCK|BFL|BING_GROUNDING|BLACK_FOREST_LABS|BRAVE|BYTEZ|CEREBRAS|CHARITY_ENGINE"
    "|CHATGPT|CHUTES|CLARIFAI|CLOUDFLARE|CO|CODESTRAL|COGNITION|COHERE|COMETAPI|COMPACTIFAI|CORTECS|CRUSOE|CRW|DARKBLOOM"
    "|DASHSCOPE|DATABRICKS|DATAFORSEO|DATAROBOT|DEEPGRAM|DEEPINFRA|DEEPSEEK|DOCKER_MODEL_RUNNER|DUCKDUCKGO|E2B|EDENAI"
    "|ELEVENLABS|EMPIRIOLABS|EMPOWER|EXA|FAL_AI|FEATHERLESS|FIRECRAWL|FIREWORKS|FIREWORKSAI|FRIENDLI|FRIENDLIAI|GALADRIEL"
    "|GDC|GEMINI|GIGACHAT|GITHUB_API|GITHUB_COPILOT|GMI|GOOGLE_PSE|GRADIENT_AI|GROQ|HELICONE|HEROKU|HF|HOSTED_VLLM|HUGGINGFACE"
    "|HYPERBOLIC|INCEPTION|INFINITY|JINA|LAMBDA|LANGFLOW|LANGGRAPH|LEMONADE|LIBERTAI|LINKUP|LLAMA|LLAMAFILE|LLAMAGATE"
    "|LM_STUDIO|MANUS|MARITALK|META|MINIMAX|MISTRAL|MODELSCOPE|MOONSHOT|MORPH|NADIR|NANOGPT|NEBIUS|NEOSANTARA|NIMBLE"
    "|NLP_CLOUD|NOVITA|NSCALE|NVIDIA_NIM|NVIDIA_RIVA|OCI|OLLAMA|OPENAI|OPENROUTER|OPEN_SANDBOX|OR|OVHCLOUD|PALM|PARALLEL_AI"
    "|PARASAIL|PERPLEXITY|PERPLEXITYAI|PINSTRIPES|POE|PREDIBASE|PRISM|PUBLICAI|QWENCLOUD|QWEN_AI_PLATFORM|RAGFLOW|RECRAFT"
    "|REKA|REPLICATE|RUNWAYML|SAIL|SAMBANOVA|SARVAM|SCW|SCX|SEARCHAPI|SEARXNG|SERPER|SNOWFLAKE|SONIOX|STABILITY|STIMA"
    "|SYNTHETIC|TAVILY|TENCENT|TENSORMESH|TINYFISH|TOGETHER|TOGETHERAI|TOPAZ|V0|VENICE_AI|VERCEL|VLLM|VOLCENGINE|VOYAGE"
    "|WANDB|WATSONX|WML|WX|XAI|XIAOMI_MIMO|XINFERENCE|YOUCOM|ZAI"
)
_ADDRESS = "API_BASE(_IMAGE)?|BASE_URL|ENDPOINT|API_ENDPOINT"


@dataclass(frozen=True, slots=True)
class Group:
    """Variables of one kind. `kept_out` says what they are, and is empty for those that pass. A service's
    variables pass if the pattern `named` finds it in the config, outside the models."""

    pattern: Any
    kept_out: str = ""
    named: Any = None


def _group(names: str, kept_out: str = "", named: str = "") -> Group:
    return Group(re2.compile(f"(?:{names})"), kept_out, re2.compile(named) if named else None)


# Services that a config asks for by name, as a callback, a guardrail, a cache or a secret manager. The variables of
# these begin with that name.
_PLAIN_SERVICES = (
    "agentops argilla arize athina azure_key_vault azure_sentinel azure_storage braintrust clickhouse cloudzero"
    " cyberark galileo greenscale humanloop lago langsmith langtrace literal logfire lunary openmeter opik phoenix"
    " pointfive posthog promptlayer qdrant rubrik sentry signoz slack supabase zerobus"
)
# Of all, the words that ask for one, and its variables.
_SERVICES: tuple[tuple[str, str], ...] = (
    *((name, f"{name.upper()}_.*") for name in _PLAIN_SERVICES.split()),
    ("redis|valkey", "REDIS_.*|VALKEY_.*"),
    ("milvus|pg_vector|mongodb|s3_vectors", "MILVUS_.*|PG_VECTOR_.*|MONGODB_.*|S3_VECTORS_.*"),
    ("hashicorp|vault", "HCP_VAULT_.*"),
    ("google_kms|google_secret_manager", "GOOGLE_KMS_.*|GOOGLE_SECRET_MANAGER_.*"),
    ("aws_kms|aws_secret_manager", "USE_AWS_KMS|LITELLM_SECRET_AWS_KMS_.*"),
    ("teams", "MS_TEAMS_.*"),
    ("webhook|alert", "(ALERTING_)?WEBHOOK_URL"),
    ("email|smtp|sendgrid|resend", "EMAIL_.*|SMTP_.*|SENDGRID_.*|RESEND_.*|TEST_EMAIL_ADDRESS"),
    ("datadog", "DD_.*|LITELLM_DD_.*|USE_DDTRACE|USE_DDPROFILER"),
    ("deepeval", "CONFIDENT_.*"),
    ("focus|vantage|mavvrik", "FOCUS_.*|VANTAGE_.*|MAVVRIK_.*"),
    ("gcs|pubsub|vertex", "GCS_.*"),
    ("generic_api|generic_logger", "GENERIC_LOGGER_.*"),
    ("langfuse", "LANGFUSE_.*|UPSTREAM_LANGFUSE_.*"),
    ("levo", "LEVOAI_.*"),
    ("newrelic|new_relic", "NEW_RELIC_.*"),
    ("prometheus", "PROMETHEUS_.*|prometheus_multiproc_dir"),
    ("pyroscope", "PYROSCOPE_.*|LITELLM_ENABLE_PYROSCOPE"),
    (
        "otel|opentelemetry|arize|phoenix|langfuse_otel|weave|logfire|signoz|langtrace|levo|agentops",
        "OTEL_.*|OTLP_.*|DEBUG_OTEL|USE_OTEL_.*|LITELLM_OTEL_.*|LITELLM_(METER|LOGGER)_NAME",
    ),
    (
        "guardrail",
        "(AIM|AKTO|ALICE|APORIO|ARGUS|CATO|CISCO_AI_DEFENSE|COMPRESR|CS_AIDR|DEEPKEEP|DYNAMOAI|ENKRYPTAI|GENERIC_GUARDRAIL"
        "|GRAYSWAN|GUARDRAILS_AI|HEADROOM|HIDDENLAYER|IBM_GUARDRAILS|JAVELIN|LAKERA|LASSO|LLM_SHIELD_PROXY|NOMA|ONYX"
        "|OVALIX|PANGEA|PANW_PRISMA_AIRS|PILLAR|PRESIDIO|PROMPTGUARD|PROMPT_SECURITY|QOSTODIAN_NEXUS|QUALIFIRE|REPELLOAI"
        "|SINGULR|TYPESAFE|VIGIL_GUARD|XECGUARD|ZSCALER_AI_GUARD)_.*",
    ),
    (
        "mcp",
        "MCP_.*|LITELLM_MCP_.*|LITELLM_ENABLE_ADMIN_MCP|LITELLM_USE_SHORT_MCP_TOOL_PREFIX|AGENTCORE_.*|AGENT365_.*",
    ),
)

GROUPS: tuple[Group, ...] = (
    # What the gateway itself sets, and what LiteLLM's own command sets.
    _group(
        "CONFIG_FILE_PATH|LITELLM_(MASTER_KEY|LOG|MODE|LOCAL_MODEL_COST_MAP|DONT_SHOW_FEEDBACK_BOX)|DISABLE_ADMIN_UI"
    ),
    *(
        _group(names, f"of a service that the config does not name ({words.split('|')[0]})", words)
        for words, names in _SERVICES
    ),
    _group(
        "DATABASE_(HOST|NAME|PASSWORD|PORT|SCHEMA|URL|URL_READ_REPLICA|USER|USERNAME)|DIRECT_URL|PRISMA_.*",
        _OF_A_DATABASE,
    ),
    # Addresses of providers, which would have requests and keys sent elsewhere, with the odd ones by name.
    _group(
        rf"({_PROVIDERS})_(\w+_)?({_ADDRESS})|AZURE(_AI|_OPENAI|_SPEECH)?_({_ADDRESS})|AWS_BEDROCK_RUNTIME_ENDPOINT"
        rf"|VERTEX(AI)?_({_ADDRESS})|(WATSONX|WATSONX_IAM|WX|WML|GIGACHAT_AUTH)_URL|GITHUB_COPILOT_\w+_URL|WANDB_HOST"
        "|GITHUB_API_BASE|LITELLM_PROXY_API_(BASE|KEY)|USE_LITELLM_PROXY",
        "an address of a provider that the config does not refer to",
    ),
    _group(
        "(MICROSOFT|SAML|PKCE|CLI_SSO|CLI_JWT|LITELLM_CLI)_.*|GOOGLE_CLIENT_(ID|SECRET)|ENABLE_SSO_DEBUG"
        "|GENERIC_(AUTHORIZATION|CLIENT|INCLUDE|ROLE|SCOPE|SSO|TOKEN|USER|USERINFO)(_.*)?|OAUTH_(CLIENT|TOKEN_INFO|USER)_.*"
        "|JWT_(AUDIENCE|ISSUER|PUBLIC_KEY_URL)|ALLOWED_EMAIL_DOMAINS|AUTO_REDIRECT_UI_LOGIN_TO_SSO|EXPERIMENTAL_UI_LOGIN"
        "|UI_(LOGO|USERNAME|PASSWORD).*|LITELLM_UI_.*|PROXY_((BASE|LOGOUT)_URL|ADMIN_ID|(BATCH|BUDGET|DB|CONFIG|DEFAULT)_.*)|(DOCS|REDOC|OPENAPI|ROOT_REDIRECT)_URL|DOCS_(DESCRIPTION|FILTERED|TITLE)"
        "|SERVER_ROOT_PATHS?|LITELLM_(FAVICON|EXTERNAL)_URL|LITELLM_CORS_.*|LITELLM_ADMIN_.*|DRAIN_ENDPOINT_TOKEN",
        "of LiteLLM's own login, pages and routes, which are not served",
    ),
    _group(
        "STORE_MODEL_IN_DB|STORE_PROMPTS_IN_SPEND_LOGS|LITELLM_SALT_KEY|LITELLM_STORE_AUDIT_LOGS|LITELLM_CONFIG_BUCKET_.*"
        "|SUPPRESS_SPEND_LOG_TRACEBACKS|SPEND_(LOGS?|COUNTER|ROLLUP)_.*|LITELLM_KEY_ROTATION_.*|USE_V2_MIGRATION_RESOLVER"
        "|IAM_TOKEN_DB_AUTH|AZURE_POSTGRESQL_AUTH|LITELLM_PGBOUNCER_.*|LITELLM_EXPIRED_UI_.*|DISABLE_SCHEMA_UPDATE"
        "|DISABLE_PRISMA_.*|SECRET_MANAGER_REFRESH_INTERVAL",
        _OF_A_DATABASE,
    ),
    _group(
        "LITELLM_(MODEL_COST_MAP|ANTHROPIC_BETA_HEADERS|AUTOROUTER_PRESETS|BLOG_POSTS)_URL|LITELLM_LICENSE|SPEND_LOGS_URL"
        "|LITELLM_LENS_.*|LENS_.*|LITELLM_BILLING_.*|TEAM_METADATA_VALIDATION_SERVICE_URL"
        "|WORKER_CONFIG|NUM_WORKERS|LITELLM_JOB_ROLE|LITELLM_COLLECTOR_.*",
        "what LiteLLM would fetch, report or start by itself",
    ),
    # Credentials and options of providers, clouds and their SDKs.
    _group(rf"({_PROVIDERS})_.*|(AWS|AZURE|GOOGLE|GCP|VERTEX|VERTEXAI|DEFAULT_GOOGLE|DEFAULT_VERTEXAI|SAP)_.*"),
    _group(r"CURSOR_API_BASE|LITELLM_ANTHROPIC_WIF_ALLOWED_HOSTS|(ACTIONS_ID|CIRCLE_OIDC)_TOKEN_?\w*|VCAP_SERVICES"),
    # The network: proxies and the certificates that are trusted.
    _group("(HTTPS?|ALL|NO)_PROXY|SSL_.*|LITELLM_SSL_.*|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|AIOHTTP_.*|LITELLM_HTTP2"),
    # Bounds, waits and switches within LiteLLM, and what says where it runs.
    _group(
        "(AGENT_TRACING|APSCHEDULER|BACKGROUND|BATCH_STATUS|DAYS_IN_A|DEFAULT|ITERM|LOGGING|MAX|MIN|MODEL_COST_MAP|REALTIME"
        "|RESET_BUDGET_JOB|RESPONSES_SESSION_LOOKUP|SCHEDULED_JOB_SHUTDOWN|SEND_USER_API_KEY|TERM|TIKTOKEN|TOKEN_COUNTER)_.*"
        r"|(AUDIO_SPEECH|CACHED_STREAMING|REPEATED_STREAMING)_CHUNK_\w+|(MAXIMUM|MINIMUM)_\w+|COROUTINE_CHECKER_\w+"
        "|COMPETITOR_LLM_TEMPERATURE|CUSTOM_TIKTOKEN_CACHE_DIR|DYNAMIC_RATE_LIMIT_ERROR_THRESHOLD_PER_MINUTE|JITTER"
        "|(GUARDRAIL_SCANNED_MESSAGES|TOOL_POLICY)_CACHE_TTL_SECONDS|(GRACEFUL_SHUTDOWN|REQUEST|NON_LLM_CONNECTION)_TIMEOUT"
        "|(FUNCTION_DEFINITION|SYSTEM_MESSAGE|TOOL_CHOICE_OBJECT)_TOKEN_COUNT|HEALTH_CHECK_TIMEOUT_SECONDS|HOURS_IN_A_DAY"
        "|INITIAL_RETRY_DELAY|LENGTH_OF_LITELLM_GENERATED_KEY|MANAGED_OBJECT_STALENESS_CUTOFF_DAYS|ROUTER_MAX_FALLBACKS"
        "|PROMPT_INJECTION_HEURISTICS_MAX_THREADS|SEMANTIC_CACHE_EMBEDDING_TIMEOUT_SECONDS|STALE_OBJECT_CLEANUP_BATCH_SIZE"
        "|SINGLE_DEPLOYMENT_TRAFFIC_FAILURE_THRESHOLD|TRACE_READ_RETRY_AFTER_SECONDS|LEGACY_MULTI_INSTANCE_RATE_LIMITING"
        r"|DEBUG|DEV|DEFER_PYDANTIC_BUILD|DISABLE_(AIOHTTP_\w+|KEY_NAME)|EXPERIMENTAL_OPENAI_BASE_LLM_HTTP_HANDLER|JSON_LOGS"
        "|NO_(COLOR|DOCS|OPENAPI|REDOC)|PYTHON_GC_THRESHOLD|HOSTNAME|POD_NAME|PROJECT_ID|REGION|SPACE_ID|UTC|TERM|VTE_VERSION"
        r"|CLAUDE_CONFIG_DIR|(ALACRITTY|GNOME_TERMINAL|KITTY|KONSOLE|WEZTERM|WT)_\w+|LITELM_ENVIRONMENT"
    ),
    _group(
        r"LITELLM_(AGENT_HEALTH_CHECK_\w+|ANTHROPIC_(DISABLE_URL_SUFFIX|PROMPT_CACHING_TTL)|ASSETS_PATH|RUST"
        "|ASYNCIO_QUEUE_MAXSIZE|AZURE_REALTIME_PROTOCOL|CONFIG_PARAM_CACHE_TTL_SECONDS|CONTENT_FILTER_ALLOW_EXTERNAL_PATHS"
        "|DEFAULT_EMBEDDING_ENCODING_FORMAT|DEPLOYMENT_ENVIRONMENT|DETAILED_TIMING|DEV_ENV_HOT_RELOAD|DROP_PARAMS|FIPS_MODE"
        "|DISABLE_(ACCESS_LOG_PATHS|BUG_REPORT_LINK|LAZY_LOADING|LAZY_ROUTES|LOGIN_RATE_LIMIT|NO_REDIS_WARNING"
        "|REDACT_SECRETS)|ENABLE_(ANTHROPIC_PROMPT_CACHING|HSTS|MCP_STDIO|PTU_COST_ATTRIBUTION|TEAM_STALE_ALIAS_BYPASS)"
        r"|ENVIRONMENT|EXECUTED_BATCH_CONCURRENCY|GEMINI_LIVE_DEFER_SETUP|GLOBAL_MAX_PARALLEL_REQUEST_\w+|MODIFY_PARAMS"
        "|HIDE_DEFAULT_CREDENTIALS_HINT|LOCAL_(ANTHROPIC_BETA_HEADERS|AUTOROUTER_PRESETS|BLOG_POSTS|POLICY_TEMPLATES)"
        "|MAX_(BUDGET_PER_SESSION_TTL|CALLBACKS|ITERATIONS_TTL|STREAMING_DURATION_SECONDS)|NON_ROOT|PROFILE|RELEASE_TAG"
        "|OIDC_ALLOWED_CREDENTIAL_DIRS|PRINT_STANDARD_LOGGING_PAYLOAD|RATE_LIMIT_WINDOW_SIZE|REASONING_AUTO_SUMMARY"
        "|ROUTE_ALL_CHAT_OPENAI_TO_RESPONSES|SENSITIVE_ROUTING_TTL|STRICT_GUARDRAIL_MODES|SUPPRESS_SPEND_LOG_TRACEBACKS"
        "|TOKEN_EXCHANGE_CACHE_DIR|TPM_TOKEN_RESERVATION_ENABLED|USER_AGENT|WORKER_STARTUP_HOOKS"
        "|USE_CHAT_COMPLETIONS_URL_FOR_ANTHROPIC_MESSAGES)"
    ),
)


_PROVIDER_KEY = re2.compile(rf"({_PROVIDERS}|AZURE|AWS)_\w*(KEY|TOKEN|SECRET)")


def is_provider_key(name: str) -> bool:
    """Whether a variable is a credential of a provider that LiteLLM knows."""
    return bool(_PROVIDER_KEY.fullmatch(name))


def group_of(name: str) -> Group | None:
    """Return the first group that a variable is in; `None` for one that LiteLLM does not read."""
    return next((group for group in GROUPS if group.pattern.fullmatch(name)), None)


def kept_out(values: Mapping[str, str], config: Mapping[str, Any], needed: Collection[str] = ()) -> dict[str, str]:
    """Return the variables of `values` that LiteLLM is not to see, each with what it is.

    Variables pass that `config`, as rendered for LiteLLM, refers to, those of services that it names, and those
    in `needed`, which the gateway needs.
    """
    referred = {*referenced(config), *needed}
    sections = " ".join(texts({name: part for name, part in config.items() if name != "model_list"})).lower()
    found: dict[str, str] = {}
    for name in values:
        group = group_of(name)
        if group is None or not group.kept_out or (group.named and group.named.search(sections)):
            continue
        if name not in referred or group.kept_out == _OF_A_DATABASE:
            found[name] = group.kept_out
    return found


def explained(names: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for the operator for each kind of variables that is kept out."""
    for kind in dict.fromkeys(names.values()):
        listed = sorted(name for name, reason in names.items() if reason == kind)
        remedy = "" if kind == _OF_A_DATABASE else f"; refer to it as ${{{listed[0]}}} in the config where it is meant"
        yield f"kept from LiteLLM: {', '.join(listed)}, {kind}{remedy}"
