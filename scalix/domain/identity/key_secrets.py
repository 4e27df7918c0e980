"""The text of a virtual key: a prefix for secret scanners, 256 random bits, and a checksum.

`sk-scalix-` + 43 characters of 0-9A-Za-z + 6 for the CRC-32 of those 43. Most mistyped or invented keys fail the
checksum, and are refused without a look-up. Security comes from the 256 bits alone.
"""

import hashlib
import re
import string
from zlib import crc32

PREFIX = "sk-scalix-"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY_CHARS, _CHECK_CHARS = 43, 6  # 62**43 > 2**256, 62**6 > 2**32
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY_CHARS + _CHECK_CHARS}}}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def secret_of(random_256_bits: int) -> str:
    """The key made of these bits."""
    body = _text(random_256_bits, _BODY_CHARS)
    return PREFIX + body + _checksum(body)


def is_well_formed(token: str) -> bool:
    """Whether `token` has the shape of a key, checksum included."""
    if len(token) != len(PREFIX) + _BODY_CHARS + _CHECK_CHARS or not _SHAPE.fullmatch(token):
        return False
    return token[-_CHECK_CHARS:] == _checksum(token[len(PREFIX) : -_CHECK_CHARS])


def digest_of(secret: str) -> str:
    """The SHA-256 of a key in hexadecimal, which is all that is stored of it. LiteLLM calls it `token`."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_digest(text: str) -> bool:
    """Whether `text` can be a key's digest."""
    return _DIGEST.fullmatch(text) is not None


def _checksum(body: str) -> str:
    return _text(crc32(body.encode()), _CHECK_CHARS)


def _text(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
