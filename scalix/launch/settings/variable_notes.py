"""Finds variables that mean nothing here or have no effect, and says so to the operator."""

from collections.abc import Collection, Iterator, Mapping

import re2

from scalix.domain.identity.published_keys import is_published
from scalix.launch.config.references import FORMER_NAMES
from scalix.launch.problems import distance, nearest
from scalix.launch.settings.environment import WORKER_VARIABLES, Environment
from scalix.launch.settings.litellm_environment import group_of, is_provider_key
from scalix.launch.settings.master_key import HOW_TO_MAKE_ONE
from scalix.launch.settings.secret_checks import PREVIOUS

OURS = frozenset(
    {
        *("SCALIX_ENV", "SCALIX_STATE_DIR", "SCALIX_CONFIG", "SCALIX_VENV", "SCALIX_KEY_PREFIX", "SCALIX_ACCESS_LOG"),
        "SCALIX_LOG_FORMAT",
        *("SCALIX_TRUSTED_PROXIES", "SCALIX_DRAIN_S", "SCALIX_WORKER_HANG_S"),
        *("SCALIX_TLS_CERTIFICATE", "SCALIX_TLS_PRIVATE_KEY", "SCALIX_TLS_PRIVATE_KEY_PASSWORD"),
        "SCALIX_TLS_MIN_VERSION",
        *("SCALIX_WORKER_MAX_RSS_MB", "SCALIX_TRIM_LITELLM", "SCALIX_STREAM_JOIN_MS", "SCALIX_JOURNAL_MAX_BYTES"),
        *(
            "SCALIX_AUDIT_KEY",
            "SCALIX_ENCRYPTION_KEY",
            "SCALIX_METRICS_TOKEN",
            "SCALIX_JWT_SECRET",
            "SCALIX_BACKUP_KEY",
        ),
        *("SCALIX_DEMO_WORDS", "SCALIX_DEMO_GAP_MS", "DEBUG_MODE", "LITELLM_LOG", "LITELLM_LOG_LEVEL"),
        *("LITELLM_LOG_FILE", "LITELLM_HOST", "LITELLM_PORT", "LITELLM_MAX_WORKERS", "LITELLM_MASTER_KEY"),
        *("LITELLM_MASTER_KEY_PREVIOUS", "GUNICORN_WORKERS", "MAX_IMAGE_URL_DOWNLOAD_SIZE_MB", "GLIBC_TUNABLES"),
        *("REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_SSL"),
        *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        *("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER"),
        *("OTEL_TRACES_SAMPLER_ARG", "OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"),
        *("REDIS_SSL_CA_CERTS", "REDIS_SSL_CERTFILE", "REDIS_SSL_KEYFILE"),
        *("REDIS_SENTINEL_USERNAME", "REDIS_SENTINEL_PASSWORD"),
        *("SCALIX_ENGINE_URL", "SCALIX_GATEWAY_URL", "SCALIX_PRO_API_KEY", "SCALIX_ENGINE_BASE_URL"),
        *("SCALIX_GATEWAY_BASE_URL", "SCALIX_ENGINE_API_KEY", "SCALIX_GATEWAY_API_KEY", "GEMINI_API_KEY"),
        *("DEEPSEEK_API_KEY", "OPENROUTER_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"),
    }
)
"""Those of `scalix_config.env.example`."""
INTERNAL = frozenset(
    {
        *("CONFIG_FILE_PATH", "SCALIX_POLICY", "SCALIX_STORE_URL", "SCALIX_DEMO", "SCALIX_DEMO_URL"),
        *("SCALIX_APP", "SCALIX_LOG_KEY", "SCALIX_TLS_FD", "GUNICORN_THREADS"),
    }
)
_NO_DIGIT = re2.compile(r"\D")
_LOOKS_LIKE_OURS = ("SCALIX_", "LITELLM_", "REDIS_")
# What LiteLLM reads of a Redis, for a cache that the config asks for.
_LITELLM_REDIS = re2.compile(
    "REDIS_(AZURE_AD_TOKEN|CIRCUIT_BREAKER_.*|CLUSTER_NODES|CONNECTION_POOL_TIMEOUT|GCP_SERVICE_ACCOUNT"
    "|GCP_SSL_CA_CERTS|MAX_CONNECTIONS|SENTINEL_NODES|SERVICE_NAME|SOCKET_TIMEOUT"
    "|TIMEOUT_LOG_INTERVAL)"
)
# Kubernetes sets these for every service, whoever asked for it.
_OF_KUBERNETES = re2.compile(r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")


def unknown_variables(values: Mapping[str, str], referred: Collection[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each variable that looks like one of ours and is none, with the nearest known name.

    `referred` are the variables that the config refers to.
    """
    known = OURS | set(referred)
    for name in values:
        base = name.removesuffix("_FILE")
        if base in known or name in INTERNAL:
            continue
        if name.startswith(_LOOKS_LIKE_OURS):
            if not _is_read_elsewhere(name):
                yield name, nearest(base, known, cutoff=0.75)
            continue
        meant = next((other for other in sorted(known) if _is_one_letter_off(base, other)), None)
        if meant is not None and not (name.endswith("_API_KEY") and is_provider_key(name)):
            yield name, meant


def _is_read_elsewhere(name: str) -> bool:
    if _OF_KUBERNETES.fullmatch(name):
        return True
    return bool(_LITELLM_REDIS.fullmatch(name)) if name.startswith("REDIS_") else group_of(name) is not None


def _is_one_letter_off(name: str, other: str) -> bool:
    """Whether names differ by one letter more, less or changed, or by two swapped. Digits count things, and so do
    differ."""
    # A quick look first: of a name of six letters, one slip leaves one end as it is.
    if len(name) < 6 or (name[:2] != other[:2] and name[-2:] != other[-2:]):
        return False
    return _NO_DIGIT.sub("", name) == _NO_DIGIT.sub("", other) and distance(name, other) == 1


def variable_notes(
    environment: Environment, *, workers_option: int | None, referred: Collection[str], signing: Collection[str]
) -> Iterator[str]:
    """Yield lines for the operator.

    `referred` are the variables that the config refers to, `signing` those of them that users' tokens are signed
    with.
    """
    values = environment.values
    yield from environment.notes
    yield from _published(environment, signing)
    yield from _workers(environment, workers_option)
    for name, former in ((name, former) for name, formers in FORMER_NAMES.items() for former in formers):
        if name in referred and former not in referred and values.get(former, "").strip():
            yield f"{environment.where(former)}: {former} has no effect: {name} is set, and the config refers to that"
    for name, meant in unknown_variables(values, referred):
        fix = f"write {meant}" if meant else "scalix_config.env.example has those that do"
        yield f"{environment.where(name)}: {name} has no effect: there is no such variable; {fix}"


def _published(environment: Environment, signing: Collection[str]) -> Iterator[str]:
    if environment.scalix_env == "production":  # which refuses them
        return
    of_master = "is a key that everybody can read, so it counts for requests from this machine only"
    of_tokens = "is a secret that everybody can read: anybody can sign tokens with it"
    for names, what, fix in (
        (("LITELLM_MASTER_KEY", PREVIOUS), of_master, HOW_TO_MAKE_ONE),
        (signing, of_tokens, "write one made by: openssl rand -hex 32"),
    ):
        for name in names:
            if is_published(environment.values.get(name, "")):
                yield f"{environment.where(name)}: {name} {what}; {fix}"


def _workers(environment: Environment, option: int | None) -> Iterator[str]:
    written = [name for name in WORKER_VARIABLES if environment.values.get(name, "").strip()]
    winner = "--workers" if option is not None else (written.pop(0) if written else "")
    for name in written:
        yield f"{environment.where(name)}: {name} has no effect: {winner} says how many workers there are"
    if environment.values.get("GUNICORN_THREADS", "").strip():
        what = "has no effect: a worker serves its requests in one thread; LITELLM_MAX_WORKERS is the number of workers"
        yield f"{environment.where('GUNICORN_THREADS')}: GUNICORN_THREADS {what}"
