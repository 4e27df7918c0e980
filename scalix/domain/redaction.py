"""What may be shown of a text that somebody else wrote, to a client or in a log: no secret, no address, no account.

Every pattern is RE2's, so the time is linear in the text whatever it is, and no more of it is looked at than can be
shown.
"""

from collections.abc import Callable
from typing import Any

import re2

REMOVED = "[removed]"
# Looked at beyond what is shown: a secret that begins before the cut is known by its whole length.
_MARGIN_CHARS = 2_048

_Match = Any


def _plain(match: _Match) -> str:
    return REMOVED


def _after_name(match: _Match) -> str:
    """`name=value` keeps its name; a value that is a number is a setting, and stays."""
    name, between, value = match.group(1), match.group(2), match.group(3)
    if value.replace(".", "").isdigit() and len(value) < 12:
        return str(match.group(0))
    return f"{name}{between}{REMOVED}"


def _after_key(match: _Match) -> str:
    """`API key abc123`: words after it stay, what has a digit or a star in it goes."""
    value = match.group(3)
    if not any(character.isdigit() or character == "*" for character in value):
        return str(match.group(0))
    return f"{match.group(1)}{match.group(2)}{REMOVED}"


def _account(match: _Match) -> str:
    """Names of accounts: in quotes, or with a digit in them. The same words in a sentence stay."""
    quoted, bare = match.group(3), match.group(4)
    if quoted is None and not any(character.isdigit() for character in bare or ""):
        return str(match.group(0))
    return f"{match.group(1)} {REMOVED}"


def _path(match: _Match) -> str:
    """A file's path goes; the path of an API is what the client has called."""
    path = match.group(2)
    return str(match.group(0)) if _API_PATH.match(path) else f"{match.group(1)}{REMOVED}"


_API_PATH = re2.compile(r"/(?:v\d|api/|openai/|chat/|completions|embeddings|responses|messages|models/)")
_NAMES = (
    r"api[-_ ]?key|apikey|access[-_ ]?(?:key(?:[-_ ]?id)?|token)|secret(?:[-_ ]?(?:access[-_ ]?)?key)?"
    r"|client[-_ ]?secret|auth(?:entication)?[-_ ]?token|session[-_ ]?(?:id|token)|refresh[-_ ]?token|token"
    r"|password|passwd|pwd|passphrase|x-api-key|authorization|credentials?|cookie|signature|sig"
)
_STORES = r"localhost|redis|valkey|postgres(?:ql)?|mysql|mongo(?:db)?|rabbitmq|kafka|ollama|vllm|host"
_LOCAL = r"svc|internal|local|localdomain|lan|corp|intranet|private|cluster|home|arpa"

# In this order: what comes first is removed as a whole, and not in parts.
_PATTERNS: tuple[tuple[Any, Callable[[_Match], str]], ...] = tuple(
    (re2.compile(pattern), replace)
    for pattern, replace in (
        # A private key, whole or cut.
        (r"(?s)-----BEGIN [A-Z0-9 ]{2,40}-----.*?(?:-----END [A-Z0-9 ]{2,40}-----|$)", _plain),
        # Addresses with a scheme, with whatever is in them, and everything with an @ in it.
        (r"(?i)\b[a-z][a-z0-9+.-]{0,30}://[^\s\"'<>`]+", _plain),
        (r"[^\s\"'<>`,;()\[\]{}@]+@[^\s\"'<>`,;()\[\]{}]+", _plain),
        # JSON Web Tokens, cloud accounts and resources.
        (r"\bey[JA-Z0-9][\w-]{5,}(?:\.[\w*-]+){0,4}", _plain),
        (r"\barn:aws[\w-]*:[^\s\"',]+", _plain),
        (r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA|APKA|ABIA|ACCA)[A-Z0-9]{8,}", _plain),
        (r"\b(?:i|vpc|subnet|sg|eni|vol|ami|snap|igw|rtb|nat|acl)-[0-9a-f]{8,17}\b", _plain),
        (r"\b\d{12}\b", _plain),
        # Keys by what they begin with.
        (
            r"(?i)\b(?:sk|pk|rk|org|proj|acct|xai|gsk|hf|gh[oprsu]|github_pat|glpat|xox[abeprs]|r8|nvapi|pplx|fw|tgp"
            r"|whsec)[-_][-\w*.]{6,}",
            _plain,
        ),
        (r"\b(?:AIza|ya29\.)[-\w]{8,}", _plain),
        (r"(?i)\b(bearer|basic)[ \t]{1,4}[\w.~+/=*-]{6,}", lambda match: f"{match.group(1)}{REMOVED}"),
        # Names with a value.
        (rf"(?i)(?:\b|_)({_NAMES})([\"']?[ \t]{{0,4}}[:=][ \t]{{0,4}}[\"']?)([^\s\"',;&)}}]{{3,}})", _after_name),
        (r"(?i)\b(key|api)((?: provided| given)?[-_ :=]{1,4})([-\w*.]{6,})", _after_key),
        (
            r"(?i)\b((?:organi[sz]ation|project|account|workspace|tenant|subscription|customer|consumer)s?"
            r"(?:[_ ](?:id|number|name))?)(?:[ :=/]{0,4}([\"'`])([^\"'`]{2,80})[\"'`]|[ :=/]{1,4}([\w.:/-]{3,}))",
            _account,
        ),
        # Machines, inside and out, with their ports.
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b", _plain),
        (r"(?i)\[?\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,7}\b\]?(?::\d{1,5})?", _plain),
        (r"(?i)(?:\B|\[)::(?:[0-9a-f]{1,4}:?){1,7}\]?(?::\d{1,5})?\b", _plain),
        (rf"(?i)\b[a-z0-9][\w-]*(?:\.[\w-]+)*\.(?:{_LOCAL})(?:\.[\w-]+)*(?::\d{{1,5}})?\b", _plain),
        (rf"(?i)\b(?:{_STORES}):\d{{2,5}}\b", _plain),
        (r"(?i)\b[a-z0-9]+(?:[-.][a-z0-9]+)+:\d{4,5}\b", _plain),
        # Files.
        (r"(^|[\s\"'(=:,\[`])(/[\w.@+~-]+(?:/[\w.@+~-]+)+/?)", _path),
        (r"\b[A-Za-z]:\\[^\s\"']+", _plain),
        # Whatever is too long to be a word.
        (r"[-\w]{32,}", _plain),
    )
)


def without_secrets(text: str, most_chars: int = 400) -> str:
    """The first `most_chars` of a text, with addresses and whatever may be a key, an account or a place taken out."""
    head = text[: most_chars + _MARGIN_CHARS]
    for pattern, replace in _PATTERNS:
        head = pattern.sub(replace, head)
    return head[:most_chars].strip()
