"""Keys of providers: whether each can be one at all, and whether it is that of the provider it is set for."""

from collections.abc import Iterator

import re2

from scalix.domain.identity.published_keys import is_placeholder
from scalix.launch.config.deployments import IMPLICIT_KEYS
from scalix.launch.config.references import LITELLM_PREFIX, is_secret_name
from scalix.launch.doctor.findings import Case, Finding
from scalix.launch.litellm.providers import provider_of
from scalix.launch.settings.litellm_environment import is_provider_key

# How providers' keys begin, the longest beginning first: what is found first is the provider's.
_BEGINNINGS = (
    ("sk-ant-", "anthropic"),
    ("sk-or-", "openrouter"),
    ("sk-proj-", "openai"),
    ("sk-svcacct-", "openai"),
    ("AIza", "gemini"),
    ("gsk_", "groq"),
    ("xai-", "xai"),
    ("pplx-", "perplexity"),
    ("nvapi-", "nvidia_nim"),
    ("csk-", "cerebras"),
    ("hf_", "huggingface"),
    ("r8_", "replicate"),
)
# Theirs begin with `sk-` alone, as those of many a server do, and so tell nothing.
_PLAIN = frozenset({"openai", "deepseek"})
_ALIASES = {"google": "gemini", "hf": "huggingface", "perplexityai": "perplexity"}
_OF_A_KEY = re2.compile(r"\w+_(KEY|TOKEN|SECRET)(_PREVIOUS)?")


def check_keys(case: Case) -> Iterator[Finding]:
    """The keys among the variables, by their form alone. Nothing is said of what stands in them."""
    environment, looked_at = case.found.environment, 0
    # Of the others the settings tell.
    referred = case.plan.config.referred - {"LITELLM_MASTER_KEY", *case.plan.signing_secrets} if case.plan else ()
    users = _users_of_keys(case)
    for name, key in sorted(environment.values.items()):
        if not key.strip() or not _OF_A_KEY.fullmatch(name) or not is_secret_name(name):
            continue
        if name not in referred and not is_provider_key(name):
            continue
        looked_at += 1
        where = environment.where(name)
        if (damage := _damage(key)) is not None:
            yield Finding("problem", where, f"{name} {damage}", "write the key alone, as the provider shows it")
        elif is_placeholder(key):
            yield Finding("warning", where, f"{name} is a placeholder, no key", "write the key, or remove the line")
        elif provider := users.get(name, _provider_named(name)):
            yield from _odd(name, key, where, provider)
    yield Finding("ok", "keys", f"{looked_at} looked at")


def _damage(key: str) -> str | None:
    """What no key holds."""
    if key[0] in "{-":  # credentials as JSON or PEM
        return None
    if key != key.strip():
        return "has blanks or line ends around it"
    if key[0] in "\"'" or key[-1] in "\"'":
        return "has a quotation mark around it"
    if any(character.isspace() for character in key):
        return "has a blank or a line end in it"
    return "has letters that an HTTP header can't carry" if not key.isascii() or not key.isprintable() else None


def _odd(name: str, key: str, where: str, provider: str) -> Iterator[Finding]:
    """What is odd about a key for this provider."""
    owner = next((owner for beginning, owner in _BEGINNINGS if key.startswith(beginning)), None)
    expected = ["sk-"] if provider in _PLAIN else [beginning for beginning, of in _BEGINNINGS if of == provider]
    if not expected or owner == provider:
        return
    if owner is not None:
        fix = f"write the key of {provider} here, and this one into {owner.upper()}_API_KEY"
        yield Finding("problem", where, f"{name} begins like a key of {owner}, not of {provider}", fix)
    elif not key.startswith(tuple(expected)):
        what = f"{name} does not begin with {expected[0]}, as keys of {provider} do"
        yield Finding("warning", where, what, "look whether it was copied whole")


def _provider_named(name: str) -> str:
    """The provider that a variable is named after; empty where its keys can't be told."""
    known = {*(owner for _, owner in _BEGINNINGS), *_PLAIN}
    words = name.lower().removesuffix("_api_key")
    provider = _ALIASES.get(words, words)
    return provider if provider in known else ""


def _users_of_keys(case: Case) -> dict[str, str]:
    """Which provider gets which variable's key, as the config has it; empty for an address of the operator's own, where
    other keys may count."""
    found = dict[str, str]()
    for entry in case.found.config.litellm["model_list"] if case.found.config else ():
        params = entry["litellm_params"]
        provider = provider_of(params, {})
        given = str(params.get("api_key", "")).removeprefix(LITELLM_PREFIX)
        for name in (given,) if given else IMPLICIT_KEYS.get(provider, ()):
            found[name] = "" if params.get("api_base") else provider
    return found
