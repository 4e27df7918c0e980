"""The values that must not be shown: those of the secret variables of an environment, as they turn up in texts."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import re2

from scalix.domain.redaction.credentials import without_credentials

REDACTED = b"[redacted]"
# A shorter one is a part of many words.
_SHORTEST_ANYWHERE = 8
# Of a longer one this much tells it, and what follows it up to a blank goes too.
_LONGEST_LITERAL = 512
_NAME = re2.compile(r"(?i)(KEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIAL)S?(_|$)|(^|_)(DSN|PWD_|PASS)$")
_PASSWORD_NAME = re2.compile(r"(?i)SECRET|PASS")
_URL = re2.compile(r"(?i)^[a-z][a-z0-9+.-]*://")
# What stands where a secret is asked for and none is needed, and switches.
_NO_SECRETS = frozenset(
    {
        *("none", "null", "empty", "dummy", "demo", "fake", "fake-key", "not-needed", "unused", "x", "auto"),
        *("true", "false", "yes", "no", "on", "off", "enabled", "disabled"),
    }
)


class KnownSecrets:
    """Takes the secrets of an environment out of lines, and whatever else looks like a credential."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        secrets = {secret for name, value in environment.items() for secret in secrets_in(name, value)}
        longest_first = sorted(secrets, key=lambda secret: (-len(secret), secret))
        self._pattern = _one_pattern(longest_first) if secrets else None

    def __call__(self, line: bytes) -> bytes:
        if self._pattern is not None and self._pattern.search(line):
            line = self._pattern.sub(lambda match: REDACTED, line)
        return without_credentials(line)


def secrets_in(name: str, value: str) -> Iterator[str]:
    """The secrets of one variable, in each form that they are written in."""
    if _URL.search(value):
        for secret in _secrets_of_url(value.strip()):
            plain = unquote(secret)
            yield from {form for form in (secret, plain, quote(plain, safe=""), quote(plain)) if form}
    elif _NAME.search(name) and not _is_no_secret(name, value.strip()):
        # A log has one line at a time, and a key in a JSON text has its line ends written out.
        for line in value.replace("\\n", "\n").splitlines():
            if (text := line.strip()) and (text == value.strip() or len(text) >= _SHORTEST_ANYWHERE):
                yield text


def _is_no_secret(name: str, value: str) -> bool:
    """A path, a switch, a number or a word: to replace it would make the log unreadable."""
    plain = value.isdigit() or (value.isalpha() and len(value) < _SHORTEST_ANYWHERE)
    is_password = _PASSWORD_NAME.search(name) is not None
    return (plain and not is_password) or value.lower() in _NO_SECRETS or value.startswith(("/", "~/", "./"))


def _secrets_of_url(url: str) -> Iterator[str]:
    """User names and passwords end at the last `@`: an unencoded one, or a `/`, may be in a password."""
    rest = authority = url.partition("://")[2]
    for mark in "/?#":
        authority = authority.partition(mark)[0]
    # Where a port stands in a password's place, what follows is a path with an `@` in it.
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


def _one_pattern(secrets: list[str]) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 << 20
    return re2.compile(b"|".join(map(_literal, secrets)), options)


def _literal(secret: str) -> bytes:
    text = secret.encode("utf-8", "surrogateescape")
    literal: bytes = re2.escape(text[:_LONGEST_LITERAL])
    if len(text) > _LONGEST_LITERAL:
        return literal + rb"[^\s\"']*"
    if len(text) >= _SHORTEST_ANYWHERE:
        return literal
    # As a word: not where a letter or a digit stands beside it.
    before, after = (rb"\b" if _is_word(end) else b"" for end in (text[:1], text[-1:]))
    return before + literal + after


def _is_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"
