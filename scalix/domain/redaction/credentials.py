"""Finds credentials in any text and removes them: keys, tokens, passwords.

All patterns are re2's and work on bytes, so that they are linear in whatever somebody sends.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scalix.domain.byte_patterns import byte_pattern

REMOVED = b"[removed]"

Judge = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of text to remove. What group 1 of `pattern` matches stays. `judge`, if any, gets the rest of the match,
    and tells whether it is such a text; `put` takes its place."""

    pattern: Any
    judge: Judge | None = None
    put: bytes = REMOVED

    def taken_out(self, text: bytes) -> bytes:
        """`text` without texts of this kind."""
        return self.pattern.sub(self._replaced, text) if self.pattern.search(text) else text

    def _replaced(self, match: Any) -> bytes:
        kept = (match[1] or b"") if self.pattern.groups else b""
        if self.judge is not None and not self.judge(match[0][len(kept) :]):
            return bytes(match[0])
        return kept + self.put


def kind(pattern: bytes, judge: Judge | None = None, put: bytes = REMOVED) -> Kind:
    """A kind by its pattern, which ignores case except within `(?-i:…)`."""
    return Kind(byte_pattern(b"(?i)" + pattern), judge, put)


def has_digit(text: bytes) -> bool:
    """Whether a word has a digit, or an asterisk: the rest of a key that was masked already."""
    return any(byte in b"0123456789*" for byte in text)


def _is_key(text: bytes) -> bool:
    return text[:2].lower() == b"sk" or has_digit(text) or (len(text) >= 24 and not any(c in b"-_." for c in text[5:]))


def _is_token(text: bytes) -> bool:
    """Whether it is a token: identifiers that begin like one are made of words."""
    return has_digit(text) or not any(c in b"-_." for c in text[5:])


def _is_value(text: bytes) -> bool:
    """Whether it is a secret's value, and neither a word about it nor the name of a variable that has it."""
    said = text.lower().strip(b"\"'`\\.,:;!?")
    return said != b"" and said not in _SAID and not (said.isdigit() and len(said) < 6) and not _REFERENCE.match(text)


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
# What begins so is no key of anybody's: as configs name variables.
_REFERENCE = byte_pattern(rb"[\"'`]?(?:\$\{[A-Z][A-Z0-9_]+\}?|os\.environ/[A-Z][A-Z0-9_]+)[\"'`]?$")
_QUOTE = rb"[\"'`\\]{0,3}"
_IS = _QUOTE + rb"\s{0,3}(?:=>?|:)\s{0,3}"
_VALUE = rb"(?:\\{0,2}[\"'`][^\"'`]{1,200}[\"'`]|[^\s\"'`\\&<>)}\]]+)"

CREDENTIALS: tuple[Kind, ...] = (
    kind(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z0-9 ]{0,40}-----)?"),
    kind(rb"\b(?-i:ey[AJ])[\w-]{6,}(?:\.[\w=-]+)*"),
    # Ids and keys with a prefix that tells what they are. Ids of accounts are no secrets, but of no use to a reader.
    kind(rb"\b(?:sk|pk|rk|org|proj|acct|cus|xai|gsk)[-_][-\w*.]{6,}", _is_key),
    kind(
        rb"\b(?-i:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|xapp-|hf_|pplx-|nvapi-|r8_|tvly-|npm_|pypi-|dop_v1_"
        rb"|ya29\.|GOCSPX-|SG\.|ABSK|lsv2_|whsec_)[-\w*.=]{8,}",
        _is_token,
    ),
    kind(rb"\b(?-i:AIza)[-\w*]{8,}"),
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
    kind(rb"\b(?-i:(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA|ASCA)[A-Z0-9]{12,})\b"),
    kind(rb"(\bbearer\s{1,5})[^\s\"'`,]{6,}", _is_value),
    kind(rb"(\bbasic\s{1,5})[\w+/-]{6,}={0,2}", _is_user_and_password),
    kind(
        rb"((?:api|access|secret|private|encryption|master|account|subscription|auth|ssh)[-_ ]?keys?(?:[-_ ]?id)?"
        rb"%b(?:bearer\s{1,3})?)" % _IS + _VALUE,
        _is_value,
    ),
    kind(
        rb"((?:secrets?|passwords?|passwd|passphrase|\bpwd|credentials?|\bpass|authorization|signature|\bsig"
        rb"|cookie|session[-_ ]?id)" + _IS + rb")" + _VALUE,
        _is_value,
    ),
    kind(rb"(token" + _IS + rb")" + _VALUE, _is_unlikely_word),
    kind(rb"(\b(?:key|api)" + _QUOTE + rb"(?: provided)?[-_ :=]{1,3}" + _QUOTE + rb")[\w*-]{6,}", _is_bare_key),
    # Everything before the last `@` of a URL.
    kind(rb"(\b[a-z][a-z0-9+.-]*://)[^\s\"'`<>]*@", put=REMOVED + b"@"),
)
# One search shows that most lines have none.
_ANY = byte_pattern(b"|".join(b"(?:%s)" % one.pattern.pattern for one in CREDENTIALS))


def without_credentials(text: bytes) -> bytes:
    """A text of any kind without credentials. Addresses and names of accounts stay."""
    if _ANY.search(text):
        for one in CREDENTIALS:
            text = one.taken_out(text)
    return text
