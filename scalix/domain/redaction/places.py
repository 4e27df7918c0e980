"""Finds what only concerns the operator: addresses, hosts, paths and accounts."""

import ipaddress

from scalix.domain.redaction.credentials import Kind, has_digit, kind

# The first parts of an API's own paths, and of the paths by which it names a field.
_OF_AN_API = frozenset(
    b"v1 v1beta v1alpha v2 v3 api openai chat messages tools input contents content response_format properties choices"
    b" items $defs definitions".split()
)
_FILE_ENDS = frozenset(
    b"py js ts tsx jsx json yaml yml toml md txt rs go c cc cpp h java rb php sh lua sql log".split()
)
# Names of figures: `limit:4096` is no host.
_COUNTED = frozenset(
    b"tokens token limit max min maximum minimum length len size count line lines column col total index position pos"
    b" offset id code status error errors row rows seed step steps expected got requested remaining used dimensions"
    b" dimension width height top input output prompt completion context window value characters chars bytes budget"
    b" batch year level depth number page".split()
)
_WEB_PORTS = (80, 443)
_FIRST_FREE_PORT = 1024
_LONG_PIECE = 16


def _is_address(text: bytes) -> bool:
    host = text.rpartition(b":")[0] if text.count(b":") == 1 else text
    return all(int(part) < 256 for part in host.partition(b"/")[0].split(b"."))


def _is_address_6(text: bytes) -> bool:
    inner = text.strip(b"[").partition(b"]")[0].partition(b"%")[0].partition(b"/")[0]
    try:
        ipaddress.IPv6Address(inner.decode())
    except ValueError:
        return False
    return has_digit(inner)


def _is_mail(text: bytes) -> bool:
    """Whether it is an address: a model's name has a version or a date after the `@`."""
    return not all(chr(c).isdigit() or c in b".-" for c in text.rpartition(b"@")[2])


def _is_host_with_port(text: bytes) -> bool:
    name, _, port = text.lower().rpartition(b":")
    if b"." in name:
        return name.rpartition(b".")[2] not in _FILE_ENDS
    counted = any(piece in _COUNTED for piece in name.replace(b"-", b"_").split(b"_"))
    return not counted and (int(port) >= _FIRST_FREE_PORT or int(port) in _WEB_PORTS)


def _is_path(text: bytes) -> bool:
    return text.lstrip(b"/").partition(b"/")[0].lower() not in _OF_AN_API


def _is_random(text: bytes) -> bool:
    """Whether a long word is random: model names and identifiers that people make up have short pieces."""
    pieces = text.replace(b"_", b"-").split(b"-")
    if any(len(piece) >= _LONG_PIECE and has_digit(piece) for piece in pieces):
        return True
    mixed = [piece for piece in pieces if len(piece) >= 4 and has_digit(piece) and not piece.isdigit()]
    return len(mixed) >= 3


_NAME = rb"[a-z0-9_](?:[a-z0-9_-]{0,62})"
_LABELS = rb"\b(?:" + _NAME + rb"\.)"
_ACCOUNT = (
    rb"(?:organi[sz]ation|project|account|workspace|tenant|subscription|customer|consumer)s?(?:[_ ](?:id|number|name))?"
)
PLACES: tuple[Kind, ...] = (
    kind(rb"\b[a-z][a-z0-9+.-]*:(?://|\\/\\/)[^\s\"'<>`]*"),
    kind(rb"\barn:[^\s\"'`<>,)]+"),
    kind(rb"[^\s\"'`<>(),;]+@[^\s\"'`<>(),;]+", _is_mail),
    # Files: on this machine, on a share, on another system.
    kind(rb"(^|[\s\"'`(=:,\[{|>])/{1,2}[\w.@+~%-]+(?:/[\w.@+~%-]*)+", _is_path),
    kind(rb"(^|[\s\"'`(=:,\[{|>])(?:~|\.{1,2})/[\w.@+~%/-]+"),
    kind(rb"\b[a-z]:\\{1,2}[^\s\"'`<>|]+|\\\\[\w.-]+\\[^\s\"'`<>|]+"),
    kind(
        rb"(^|[^\w:.])\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:(?:\.\d{1,3}){3})?(?:%\w+)?(?:/\d{1,3})?"
        rb"(?:\](?::\d{1,5})?)?",
        _is_address_6,
    ),
    kind(rb"\b\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?::\d{1,5})?\b", _is_address),
    kind(rb"\b[a-z][\w.-]*:\d{2,5}\b", _is_host_with_port),
    kind(rb"\blocalhost\b|" + _LABELS + rb"{1,10}svc(?:\." + _NAME + rb"){0,10}\b"),
    kind(
        _LABELS + rb"{1,10}(?:local|internal|intranet|lan|corp|localdomain|consul|private|arpa"
        rb"|amazonaws\.com|azure\.com|windows\.net|azure-api\.net|googleapis\.com|run\.app)\b"
    ),
    kind(_LABELS + rb"{2,10}(?:com|net|org|io|ai|dev|cloud|app|example|test|invalid)\b"),
    # Names of accounts, in quotes or with a digit. Without either they are words of a sentence, and stay.
    kind(rb"(\b(?:" + _ACCOUNT + rb")[ :=/]{0,5})[\"'`][^\"'`]{2,80}(?:[\"'`]|$)"),
    kind(rb"(\b" + _ACCOUNT + rb"[ :=/]{1,5})[\w.:/-]{3,}", has_digit),
    kind(rb"\b(?:\d{12}|\d{4}-\d{4}-\d{4})\b"),
    kind(rb"\b(?:i|vpc|subnet|sg|eni|vol|ami|snap|igw|rtb|nat|acl)-[0-9a-f]{8,17}\b", has_digit),
    kind(rb"[-\w]{32,}", _is_random),
)
