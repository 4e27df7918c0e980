"""Patterns over bytes from clients and providers, which take time linear in their input."""

import re2


def byte_pattern(text: bytes, max_mem_bytes: int = 8 << 20) -> "re2._Regexp[bytes]":
    """Compile `text` so that each byte is a character: re2 takes bytes for UTF-8 by default.

    `max_mem_bytes` bounds the memory of the pattern and its search.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = max_mem_bytes
    return re2.compile(text, options)
