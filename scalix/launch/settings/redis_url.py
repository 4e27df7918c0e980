"""Builds the store's URL from `REDIS_URL`, or from `REDIS_HOST` and the variables that go with it."""

from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit, urlunsplit

DEFAULT_REDIS_PORT = 6379
REDIS_SCHEMES = ("redis", "rediss", "unix")
TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS = frozenset({"false", "0", "no", "off", ""})

Report = Callable[[str, str, str], None]
"""Called with the variable's name, what is wrong with it, and what to write instead."""


def parse_flag(values: Mapping[str, str], name: str, report: Report) -> bool:
    """Return the variable as a truth value, false if it is unset. Words that are no truth value are reported."""
    word = values.get(name, "").strip().casefold()
    if word not in TRUE_WORDS and word not in FALSE_WORDS:
        report(name, f"{name} is neither true nor false", f"write {name}=true or {name}=false")
    return word in TRUE_WORDS


def parse_whole_number(values: Mapping[str, str], name: str, default: int, low: int, high: int, report: Report) -> int:
    """Return the variable as a whole number from `low` to `high`, `default` if it is unset or wrong, which is
    reported."""
    text = values.get(name, "").strip()
    if not text:
        return default
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
    if low <= number <= high:
        return number
    report(name, f"{name} is not a whole number from {low} to {high}", f"write for example {name}={default}")
    return default


def redis_url(values: Mapping[str, str], report: Report) -> str | None:
    """Return the URL of the store for redis-py, user and password percent-encoded; `None` for the embedded store.

    Messages never hold a value of these variables, because a password may stand in any of them by mistake.
    """
    # Kubernetes sets REDIS_PORT=tcp://… for any service that is called redis, whoever asked for it.
    if not values.get("REDIS_HOST", "").strip() and values.get("REDIS_PORT", "").startswith("tcp://"):
        values = {name: value for name, value in values.items() if name != "REDIS_PORT"}
    tls = parse_flag(values, "REDIS_SSL", report)
    port = parse_whole_number(values, "REDIS_PORT", DEFAULT_REDIS_PORT, 1, 65535, report)
    database = parse_whole_number(values, "REDIS_DB", 0, 0, 1_000_000, report)
    username = values.get("REDIS_USERNAME", "")
    password = values.get("REDIS_PASSWORD", "")
    host = values.get("REDIS_HOST", "").strip()
    url = values.get("REDIS_URL", "").strip()
    if url:
        return _completed_url(url, host, username, password, tls, report)
    if host:
        if any(character in host for character in "/@?# ") or host.count(":") == 1:
            report("REDIS_HOST", "REDIS_HOST is not a host name", "write the name only, or put the URL in REDIS_URL")
            return None
        address = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"{'rediss' if tls else 'redis'}://{_userinfo(username, password)}{address}:{port}/{database}"
    for name in ("REDIS_PORT", "REDIS_PASSWORD", "REDIS_USERNAME", "REDIS_DB"):
        if values.get(name, "").strip():
            report(name, f"{name} is set, but no server is", f"set REDIS_HOST or REDIS_URL too, or remove {name}")
    return None


def _userinfo(username: str, password: str) -> str:
    if not username and not password:
        return ""
    secret = f":{quote(password, safe='')}" if password else ""
    return f"{quote(username, safe='')}{secret}@"


def _completed_url(url: str, host: str, username: str, password: str, tls: bool, report: Report) -> str | None:
    """Return `url`, with the user and password of the other variables if it has none; `None` if it is wrong."""
    example = "write redis://:password@host:6379/0 with special characters of the password percent-encoded"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    is_socket, named, database = parts.scheme == "unix", parts.hostname or "", parts.path.strip("/")
    other_host = host and not is_socket and host.strip("[]").casefold() != named.casefold()
    is_plain = tls and parts.scheme == "redis"
    odd_database = not is_socket and database and not (database.isascii() and database.isdigit())
    for is_wrong, what, fix in (
        (port == 0, "REDIS_URL is not a valid URL", example),
        (parts.scheme not in REDIS_SCHEMES, "REDIS_URL does not start with redis://, rediss:// or unix://", example),
        (parts.fragment or not (parts.path if is_socket else named), "REDIS_URL names no server", example),
        (is_plain, "REDIS_SSL is true, but REDIS_URL starts with redis://", "write rediss:// for TLS"),
        (other_host, "REDIS_URL and REDIS_HOST name different servers", "keep one of the two"),
        (odd_database, "the path of REDIS_URL is not a database number", "write for example redis://host:6379/0"),
    ):
        if is_wrong:
            report("REDIS_URL", what, fix)
            return None
    if parts.username or parts.password or not (username or password):
        return url
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=_userinfo(username, password) + address))
