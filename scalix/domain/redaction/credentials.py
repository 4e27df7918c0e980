"""What lets its holder in, wherever it turns up: keys, tokens, passwords.

Every pattern is re2's and works on bytes, so that it is linear in whatever somebody sends. A kind may have a judge,
which sees the match and says whether it is one.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2

REMOVED = b"[removed]"
_LATIN = re2.Options()
_LATIN.encoding = re2.Options.Encoding.LATIN1  # a byte is a character: no text is beyond it

Judge = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of text to take out. What the group 1 of `pattern` matches stays, and so does what the judge, who sees
    the rest of the match, does not find to be one."""

    pattern: Any
    judge: Judge | None = None
    put: bytes = REMOVED

    def taken_out(self, text: bytes) -> bytes:
        return self.pattern.sub(self._replaced, text) if self.pattern.search(text) else text

    def _replaced(self, match: Any) -> bytes:
        kept = (match[1] or b"") if self.pattern.groups else b""
        if self.judge is not None and not self.judge(match[0][len(kept) :]):
            return bytes(match[0])
        return kept + self.put


def pattern(text: bytes) -> Any:
    """A linear pattern over bytes; letters of both cases, unless it says `(?-i:…)`."""
    return re2.compile(b"(?i)" + text, _LATIN)


def has_digit(text: bytes) -> bool:
    """Whether a word is more than words, or is the rest of a key that was hidden already."""
    return any(byte in b"0123456789*" for byte in text)


def _is_key(text: bytes) -> bool:
    return text[:2].lower() == b"sk" or has_digit(text) or (len(text) >= 24 and not any(c in b"-_." for c in text[5:]))


def _is_token(text: bytes) -> bool:
    """Identifiers that begin like a token go on in pieces."""
    return has_digit(text) or not any(c in b"-_." for c in text[5:])


def _is_value(text: bytes) -> bool:
    """Whether a secret's value stands there, and not what somebody says of it."""
    said = text.lower().strip(b"\"'`\\.,:;!?")
    return said != b"" and said not in _SAID and not (said.isdigit() and len(said) < 6)


def _is_unlikely_word(text: bytes) -> bool:
    return _is_value(text) and (has_digit(text) or len(text) >= 16)


def _is_bare_key(text: bytes) -> bool:
    return has_digit(text) and any(chr(c).isalpha() or c == ord("*") for c in text)


def _is_user_and_password(text: bytes) -> bool:
    try:
        return b":" in base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_")
    except (ValueError, binascii.Error):
        return False


_SAID = frozenset(
    b"none null true false empty undefined required missing invalid must should cannot can't can may is are was not the"
    b" a an in on of for to expected unexpected unsupported string integer number boolean object array list field value"
    b" authentication authorization scheme tokens token header realm error denied expired wrong unknown bearer basic"
    b" identifier".split()
)
_QUOTE = rb"[\"'`\\]{0,3}"
_IS = _QUOTE + rb"\s{0,3}(?:=>?|:)\s{0,3}"
_VALUE = rb"(?:\\{0,2}[\"'`][^\"'`]{1,200}[\"'`]|[^\s\"'`\\&<>)}\]]+)"

CREDENTIALS: tuple[Kind, ...] = (
    Kind(pattern(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z0-9 ]{0,40}-----)?")),
    Kind(pattern(rb"\b(?-i:ey[AJ])[\w-]{6,}(?:\.[\w=-]+)*")),
    # An id or a key that begins with what it is. Account ids let nobody in, but nobody needs to read them either.
    Kind(pattern(rb"\b(?:sk|pk|rk|org|proj|acct|cus|xai|gsk)[-_][-\w*.]{6,}"), _is_key),
    Kind(
        pattern(
            rb"\b(?-i:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|xapp-|hf_|pplx-|nvapi-|r8_|tvly-|npm_|pypi-|dop_v1_"
            rb"|ya29\.|GOCSPX-|SG\.|ABSK|lsv2_|whsec_)[-\w*.=]{8,}"
        ),
        _is_token,
    ),
    Kind(pattern(rb"\b(?-i:AIza)[-\w*]{8,}")),
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
    Kind(
        pattern(rb"\b(?-i:(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA|ASCA)[A-Z0-9]{12,})\b")
    ),
    Kind(pattern(rb"(\bbearer\s{1,5})[^\s\"'`,]{6,}"), _is_value),
    Kind(pattern(rb"(\bbasic\s{1,5})[\w+/-]{6,}={0,2}"), _is_user_and_password),
    Kind(
        pattern(
            rb"((?:api|access|secret|private|encryption|master|account|subscription|auth|ssh)[-_ ]?keys?(?:[-_ ]?id)?"
            + _IS
            + rb"(?:bearer\s{1,3})?)"
            + _VALUE
        ),
        _is_value,
    ),
    Kind(
        pattern(
            rb"((?:secrets?|passwords?|passwd|passphrase|\bpwd|credentials?|\bpass|authorization|signature|\bsig"
            rb"|cookie|session[-_ ]?id)" + _IS + rb")" + _VALUE
        ),
        _is_value,
    ),
    Kind(pattern(rb"(token" + _IS + rb")" + _VALUE), _is_unlikely_word),
    Kind(
        pattern(rb"(\b(?:key|api)" + _QUOTE + rb"(?: provided)?[-_ :=]{1,3}" + _QUOTE + rb")[\w*-]{6,}"), _is_bare_key
    ),
    # What stands before the last `@` of a URL, whatever is in it.
    Kind(pattern(rb"(\b[a-z][a-z0-9+.-]*://)[^\s\"'`<>]*@"), put=REMOVED + b"@"),
)
# One look finds most lines to have none.
_ANY = re2.compile(b"|".join(b"(?:%s)" % kind.pattern.pattern for kind in CREDENTIALS), _LATIN)


def without_credentials(text: bytes) -> bytes:
    """A line of any kind without what would let its reader in. Places and names of accounts stay."""
    if _ANY.search(text):
        for kind in CREDENTIALS:
            text = kind.taken_out(text)
    return text
