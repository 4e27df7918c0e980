"""Removes the secrets of an environment from texts, in all the forms in which they turn up."""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import re2

from scalix.domain.byte_patterns import byte_pattern
from scalix.domain.redaction.credentials import without_credentials

REDACTED = b"[redacted]"
# Shorter secrets are parts of many words, so they are only removed as words.
_SHORTEST_ANYWHERE = 8
# Longer secrets are recognised by this much of them, and removed up to the next blank.
_LONGEST_LITERAL = 512
_NAME = re2.compile(r"(?i)(KEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIAL)S?(_|$)|(^|_)(DSN|PWD_|PASS)$")
_PASSWORD_NAME = re2.compile(r"(?i)SECRET|PASS")
_URL = re2.compile(r"(?i)^[a-z][a-z0-9+.-]*://")
# Values of variables for secrets where none is needed, and switches.
_NO_SECRETS = frozenset(
    {
        *("none", "null", "empty", "dummy", "demo", "fake", "fake-key", "not-needed", "unused", "x", "auto"),
        *("true", "false", "yes", "no", "on", "off", "enabled", "disabled"),
    }
)


class KnownSecrets:
    """Removes from lines the secrets of environments and everything else that looks like a credential."""

    def __init__(self, *environments: Mapping[str, str]) -> None:
        variables = {variable for environment in environments for variable in environment.items()}
        secrets = {secret for name, value in variables for secret in secrets_in(name, value)}
        longest_first = sorted(secrets, key=lambda secret: (-len(secret), secret))
        self._pattern = byte_pattern(b"|".join(map(_literal, longest_first)), 64 << 20) if secrets else None

    def __call__(self, line: bytes) -> bytes:
        if self._pattern is not None and self._pattern.search(line):
            line = self._pattern.sub(lambda match: REDACTED, line)
        return without_credentials(line)


def secrets_in(name: str, value: str) -> Iterator[str]:
    """The secrets of one variable, in each of the forms in which they may be written."""
    if _URL.search(value):
        for secret in _secrets_of_url(value.strip()):
            plain = unquote(secret)
            yield from {form for form in (secret, plain, quote(plain, safe=""), quote(plain)) if form}
    elif _NAME.search(name) and not _is_no_secret(name, value.strip()):
        # Logs are redacted line by line, and a key within a JSON text has its line ends escaped.
        for line in value.replace("\\n", "\n").splitlines():
            if (text := line.strip()) and (text == value.strip() or len(text) >= _SHORTEST_ANYWHERE):
                yield text


def _is_no_secret(name: str, value: str) -> bool:
    """Whether it is a path, a switch, a number or a word: without those the log would be unreadable."""
    plain = value.isdigit() or (value.isalpha() and len(value) < _SHORTEST_ANYWHERE)
    is_password = _PASSWORD_NAME.search(name) is not None
    return (plain and not is_password) or value.lower() in _NO_SECRETS or value.startswith(("/", "~/", "./"))


def _secrets_of_url(url: str) -> Iterator[str]:
    """The user or password of a URL, which ends at the last `@` as a password may contain `@` and `/`, and the secrets
    in its query."""
    rest = authority = url.partition("://")[2]
    for mark in "/?#":
        authority = authority.partition(mark)[0]
    # With a port in place of a password, an `@` further on belongs to the path.
    after = authority.rpartition("@")[2].partition(":")[2]
    beyond = ("@" in authority or (after and not after.isdigit())) and "@" in rest[len(authority) :]
    for part in (authority, rest) if beyond else (authority,):
        user, _, password = part.rpartition("@")[0].partition(":")
        yield password or user
    try:
        query = urlsplit(url).query
    except ValueError:
        return
    yield from (value for name, value in parse_qsl(query) if _NAME.search(name) or name.lower() in ("sig", "code"))


def _literal(secret: str) -> bytes:
    text = secret.encode("utf-8", "surrogateescape")
    literal: bytes = re2.escape(text[:_LONGEST_LITERAL])
    if len(text) > _LONGEST_LITERAL:
        return literal + rb"[^\s\"']*"
    if len(text) >= _SHORTEST_ANYWHERE:
        return literal
    before, after = (rb"\b" if _is_word(end) else b"" for end in (text[:1], text[-1:]))
    return before + literal + after


def _is_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"
