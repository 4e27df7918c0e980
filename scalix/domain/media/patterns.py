"""Patterns over bytes that others wrote, in time linear in them."""

import re2


def byte_pattern(text: bytes) -> "re2._Regexp[bytes]":
    """`text` compiled, each byte for itself: the library takes bytes for UTF-8 unless told."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(text, options)
