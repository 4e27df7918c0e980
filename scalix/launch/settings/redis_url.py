"""Builds the store's URL from `REDIS_URL`, or from `REDIS_HOST` and the variables that go with it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from scalix.launch import home
from scalix.store.connection.seeds import seeds_of
from scalix.store.connection.sentinel_url import PASSWORD, USERNAME, SentinelUrl, is_of_sentinel

DEFAULT_REDIS_PORT = 6379
REDIS_SCHEMES = ("redis", "rediss", "unix")
SENTINEL_OPTIONS = {"REDIS_SENTINEL_USERNAME": USERNAME, "REDIS_SENTINEL_PASSWORD": PASSWORD}
TLS_FILES = {
    "REDIS_SSL_CA_CERTS": "ssl_ca_certs",
    "REDIS_SSL_CERTFILE": "ssl_certfile",
    "REDIS_SSL_KEYFILE": "ssl_keyfile",
}
"""Variables that name a file, each with redis-py's option in the URL."""
STORE_VARIABLES = (
    *("REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_SSL"),
    *TLS_FILES,
    *SENTINEL_OPTIONS,
)
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
        whole = _completed_url(url, host, username, password, tls, report)
        return None if whole is None else _with_options(whole, values, report)
    if host:
        if any(character in host for character in "/@?#, ") or host.count(":") == 1:
            report("REDIS_HOST", "REDIS_HOST is not a host name", "write the name only, or put the URL in REDIS_URL")
            return None
        address = f"[{host}]" if ":" in host and not host.startswith("[") else host
        url = f"{'rediss' if tls else 'redis'}://{_userinfo(username, password)}{address}:{port}/{database}"
        return _with_options(url, values, report)
    for name in ("REDIS_PORT", "REDIS_PASSWORD", "REDIS_USERNAME", "REDIS_DB", *TLS_FILES, *SENTINEL_OPTIONS):
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
    if is_of_sentinel(url):
        return _sentinel_url(url, host, _userinfo(username, password), tls, report)
    example = "write redis://:password@host:6379/0 with special characters of the password percent-encoded"
    try:
        parts = urlsplit(url)
        nodes = list(map(urlsplit, seeds_of(url)))
        is_valid = all(node.port != 0 for node in nodes)
    except ValueError:
        parts, nodes, is_valid = urlsplit(""), [], False
    is_socket, hosts, database = parts.scheme == "unix", [node.hostname for node in nodes], parts.path.strip("/")
    other_host = host and not is_socket and [host.strip("[]").casefold()] != hosts
    is_plain = tls and parts.scheme == "redis"
    odd_database = not is_socket and database and not (database.isascii() and database.isdigit())
    for is_wrong, what, fix in (
        (not is_valid, "REDIS_URL is not a valid URL", example),
        (
            parts.scheme not in REDIS_SCHEMES,
            "REDIS_URL does not start with redis://, rediss://, unix:// or redis+sentinel://",
            example,
        ),
        (parts.fragment or not (parts.path if is_socket else all(hosts)), "REDIS_URL names no server", example),
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


def _sentinel_url(url: str, host: str, userinfo: str, tls: bool, report: Report) -> str | None:
    example = "write redis+sentinel://:password@host:26379,host:26379/service/0"
    try:
        found = SentinelUrl.parse(url)
    except ValueError as error:
        report("REDIS_URL", f"REDIS_URL is no address of Sentinels: {error}", example)
        return None
    if tls and found.scheme == "redis":
        report(
            "REDIS_URL", "REDIS_SSL is true, but REDIS_URL starts with redis+sentinel://", "write rediss+sentinel://"
        )
        return None
    if host:
        report("REDIS_URL", "REDIS_URL names Sentinels and REDIS_HOST a server", "keep one of the two")
        return None
    scheme, _, rest = url.partition("://")
    return url if found.credentials else f"{scheme}://{userinfo}{rest}"


def _with_options(url: str, values: Mapping[str, str], report: Report) -> str | None:
    """`url` with the options of the other variables that it does not have itself; `None` if one of them is wrong."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    is_right = True
    for name, option in {**TLS_FILES, **SENTINEL_OPTIONS}.items():
        value, is_file = values.get(name, "").strip(), name in TLS_FILES
        if value and is_file and not parts.scheme.startswith("rediss"):
            report(
                name, f"{name} is set, but the store is called without TLS", "set REDIS_SSL=true, or write rediss://"
            )
            is_right = False
        elif value and not is_file and not is_of_sentinel(url):
            report(name, f"{name} is set, but REDIS_URL names no Sentinel", f"remove {name}")
            is_right = False
        elif value:
            options.setdefault(option, str(home.HOME / Path(value).expanduser()) if is_file else values[name])
        if is_file and option in options and (why := _unreadable(options[option])):
            named = name if value else f"{option} of REDIS_URL"
            report(
                name if value else "REDIS_URL", f"{named} can't be read ({why})", "name a file that this user may read"
            )
            is_right = False
    if not is_right:
        return None
    return urlunsplit(parts._replace(query=urlencode(options))) if options else url


def _unreadable(path: str) -> str:
    try:
        with Path(path).open("rb"):
            return ""
    except OSError as error:
        return (error.strerror or "error").lower()
