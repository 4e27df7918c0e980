"""Translates references to variables in a config, and finds secrets in plain text.

The operator may write `${NAME}` or LiteLLM's own `os.environ/NAME`. LiteLLM gets the latter only, so that no
secret is written to disk: a secret that stands in the file becomes a variable of the workers, and production
refuses it.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from scalix.domain.requests.private_hosts import is_public_host
from scalix.launch.config.findings import Findings
from scalix.launch.config.yaml_source import Step

LITELLM_PREFIX = "os.environ/"
FORMER_NAMES: Mapping[str, tuple[str, ...]] = {
    "SCALIX_ENGINE_URL": ("SCALIX_ENGINE_BASE_URL",),
    "SCALIX_GATEWAY_URL": ("SCALIX_GATEWAY_BASE_URL",),
    "SCALIX_PRO_API_KEY": ("SCALIX_ENGINE_API_KEY", "SCALIX_GATEWAY_API_KEY"),
}
"""Other names of the shipped config's variables, which count where these are not set."""
Steps = tuple[Step, ...]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""How a variable may be named."""
_BRACED = re.compile(r"\$\{([^}]*)\}")
# Fields and variables that hold a secret. `input_cost_per_token` and the like end in the same words.
_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:key|key_id|keys|secret|password|passwd|token|credentials?|authorization|license|private_key|dsn)$",
    re.I,
)
_NO_SECRET = re.compile(
    r"per_(?:token|\w+_token)$|^(?:prompt_cache_key|cache_key|max_tokens?|vertex_credentials)$|public_key$", re.I
)
# Local servers want some key and ignore which.
_PLACEHOLDERS = frozenset(
    {
        *("", "none", "null", "empty", "dummy", "demo", "fake", "fake-key", "not-needed", "unused", "x"),
        "sk-no-key-required",
    }
)
# No provider's key is as short.
_SHORTEST_KEY_CHARS = 16
PLAIN_PREFIX = "SCALIX_CONFIG_SECRET_"
_LOOKS_SECRET = re.compile(
    r"^(?:sk-|sk_|AIza|AKIA|ASIA|gh[pousr]_|github_pat_|xox[abprs]-|gsk_|hf_|Bearer\s|Basic\s|-----BEGIN )"
)
_PASSWORD_IN_URL = re.compile(r"^[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]+@", re.I)


class References:
    """Translates the references of one file into LiteLLM's syntax, against the variables in `values`.

    Broken references are problems of `findings`. Secrets in plain text are problems in production, else warnings.
    """

    def __init__(self, findings: Findings, values: Mapping[str, str], *, production: bool) -> None:
        self.source = findings.source
        self._values = values
        self._report = findings.wrong
        self._plain_ones = findings.problems if production else findings.warnings
        self.plain: dict[str, str] = {}
        """The secrets that stand in the file, by the variables that they become."""
        self.missing: dict[Steps, list[str]] = {}
        """Unset or empty variables, by the place that needs them."""
        self.names = set[str]()
        """All variables that the file refers to, under the names that are set."""

    def translated(self, value: Any, steps: Steps) -> Any:
        """Return `value` as LiteLLM is to read it. `steps` is its place in the file."""
        if isinstance(value, Mapping):
            return {key: self.translated(item, (*steps, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.translated(item, (*steps, index)) for index, item in enumerate(value)]
        return self._text(value, steps) if isinstance(value, str) else value

    def missing_under(self, steps: Steps) -> list[str]:
        """Return the unset variables that values below `steps` need, in the order of the file."""
        found = [name for place, names in self.missing.items() if place[: len(steps)] == steps for name in names]
        return list(dict.fromkeys(found))

    def _text(self, text: str, steps: Steps) -> str:
        if text.startswith(LITELLM_PREFIX):
            return self._whole(text.removeprefix(LITELLM_PREFIX), steps)
        names = _BRACED.findall(text)
        if not names:
            return self._plain(text, steps) if self._is_secret(text, steps) else text
        bad = [name for name in names if not NAME.fullmatch(name)]
        if bad:
            fix = "write ${NAME} only, and put a default value into the env file"
            self._report(steps, f"'${{{bad[0]}}}' names no variable", fix)
            return text
        # LiteLLM resolves a reference that is the whole value of a key, and none that is an item of a list.
        if len(names) == 1 and text == f"${{{names[0]}}}" and isinstance(steps[-1], str):
            return self._whole(names[0], steps)
        return self._inside(text, names, steps)

    def _plain(self, text: str, steps: Steps) -> str:
        what = f"{_label(steps)} holds a secret in plain text, which production refuses"
        self._plain_ones.append(self.source.problem(steps, what, f"write {_suggestion(steps)}"))
        name = PLAIN_PREFIX + hashlib.sha256(text.encode()).hexdigest()[:12]
        self.plain[name] = text
        return LITELLM_PREFIX + name

    def _is_secret(self, text: str, steps: Steps) -> bool:
        looks_so = _in_plain_text(text, _keys(steps))
        if not looks_so or steps[0] != "model_list" or steps[-1] != "api_key":
            return looks_so
        # Local servers want some key and ignore which.
        address = address_of(self.source.mapping(*steps[:-1]), self._values)
        return len(text) >= _SHORTEST_KEY_CHARS and not is_private(address)

    def _whole(self, name: str, steps: Steps) -> str:
        if not NAME.fullmatch(name):
            self._report(steps, f"'{LITELLM_PREFIX}{name}' names no variable", "write ${NAME}")
        name = self._set_name(name, steps)
        self._need(name, steps)
        return LITELLM_PREFIX + name

    def _set_name(self, name: str, steps: Steps) -> str:
        """Return `name`, or if it is unset, a former name that is set; of several the one that goes with the
        address."""
        formers = FORMER_NAMES.get(name, ())
        if len(formers) > 1:
            entry = self.source.mapping(*steps[:-1])
            address = str(entry.get("base_url") or entry.get("api_base"))
            formers = tuple(former for former in formers if former.rsplit("_", 2)[0] in address)
        return next((other for other in (name, *formers) if self._values.get(other, "").strip()), name)

    def _inside(self, text: str, names: list[str], steps: Steps) -> str:
        """Write out the values of references within a longer text, for which LiteLLM has no syntax."""
        chosen = {name: self._set_name(name, steps) for name in names}
        for name in chosen.values():
            self._need(name, steps)
        has_password = any(_PASSWORD_IN_URL.match(self._values.get(name, "")) for name in chosen.values())
        if has_password or any(map(is_secret_name, names)) or _holds_secret(_keys(steps)):
            fix = "put the whole value into one variable and write ${NAME} alone"
            self._report(steps, f"{_label(steps)} mixes a secret with other text", fix)
            return text
        return _BRACED.sub(lambda match: self._values.get(chosen[match.group(1)], ""), text)

    def _need(self, name: str, steps: Steps) -> None:
        self.names.add(name)
        if not self._values.get(name, "").strip():
            self.missing.setdefault(steps, []).append(name)


def address_of(params: Mapping[str, Any], values: Mapping[str, str]) -> str:
    """Return the address of a deployment's server, a reference to a variable resolved; empty if it states none."""
    address = str(params.get("api_base") or params.get("base_url") or "")
    name = address.removeprefix(LITELLM_PREFIX)
    return address if name == address else values.get(name, "")


def is_private(address: str) -> bool:
    """Whether the host of a URL can only be this machine or one in its network."""
    try:
        host = urlsplit(address).hostname
    except ValueError:
        return False
    return host is not None and not is_public_host(host)


def whole_reference(value: object) -> str | None:
    """Return the variable that a value refers to, if the reference is the whole value."""
    if not isinstance(value, str):
        return None
    if value.startswith(LITELLM_PREFIX):
        return value.removeprefix(LITELLM_PREFIX)
    names = _BRACED.findall(value)
    return names[0] if names and value == f"${{{names[0]}}}" else None


def texts(value: Any) -> Iterator[str]:
    """Yield all texts in a value, keys of mappings among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def referenced(value: Any) -> Iterator[str]:
    """Yield the names of all variables that a translated value refers to."""
    return (text.removeprefix(LITELLM_PREFIX) for text in texts(value) if text.startswith(LITELLM_PREFIX))


def is_secret_name(name: str) -> bool:
    """Whether a field or a variable of this name holds a secret."""
    return bool(_SECRET_NAME.search(name)) and not _NO_SECRET.search(name)


def _keys(steps: Steps) -> list[str]:
    return [step for step in steps if isinstance(step, str)]


def _holds_secret(keys: list[str]) -> bool:
    """Whether a place is for a secret, by its name. Any field of headers may carry one."""
    return bool(keys) and (is_secret_name(keys[-1]) or any(key.casefold().endswith("headers") for key in keys[:-1]))


def _in_plain_text(text: str, keys: list[str]) -> bool:
    # LiteLLM reads both itself: a token from the machine's identity, and a reference behind a word such as `Bearer`.
    if not keys or text.strip().casefold() in _PLACEHOLDERS or text.startswith("oidc/") or LITELLM_PREFIX in text:
        return False
    # Of headers only those that look like a secret: a fixed `HTTP-Referer` is none.
    return is_secret_name(keys[-1]) or bool(_LOOKS_SECRET.match(text)) or bool(_PASSWORD_IN_URL.match(text))


def _label(steps: Steps) -> str:
    return ".".join(_keys(steps)) or "this value"


def _suggestion(steps: Steps) -> str:
    key = next(reversed(_keys(steps)), "secret")
    variable = f"${{YOUR_{re.sub(r'[^A-Za-z0-9]+', '_', key).upper()}}}"
    if key == "master_key":
        variable = f"{LITELLM_PREFIX}LITELLM_MASTER_KEY"
    return f"{key}: {variable}, and set that variable in the environment or an env file"
