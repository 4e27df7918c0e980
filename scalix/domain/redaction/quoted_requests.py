"""Takes out of a provider's message what it quotes of the request: a log holds no prompt, not even a word of one."""

from collections.abc import Collection, Iterator

import re2

MOST_SEARCHED_BYTES = 1 << 18
"""A longer request is not searched, and no word about it is kept."""
_SHORT_BYTES = 4_096
_LEFT_OUT = "[…]"
_WORD = re2.compile(r"[^\s\"'`{}\[\]()<>,;:.!?\\]+")
# Between two words: what JSON has for a line's end, a quote and so on, too.
_BETWEEN = rb"(?:\\[nrtbf\"\\/]|[^0-9A-Za-z])+"
_IN_A_ROW = 3
_LONG_WORD = 10
_SHORTEST_WORD = 4


def without_quotes(message: str, written: bytes, keep: Collection[str]) -> str:
    """`message` without what stands in `written`, the request as JSON: of a short request every word, of a long one
    whatever is three words long or an uncommon word. Those of `keep`, such as names of fields, stay."""
    if len(written) > MOST_SEARCHED_BYTES:
        return ""
    words = [(match[0], match.start(), match.end()) for match in _WORD.finditer(message)]
    runs = list(_runs([word for word, _, _ in words], keep, is_short=len(written) <= _SHORT_BYTES))
    found = _found([pattern for pattern, _, _ in runs], written)
    gone = {number for at in found for number in range(runs[at][1], runs[at][2])}
    parts, end, was_gone = [], 0, False
    for number, (_, start, stop) in enumerate(words):
        if number not in gone:
            parts.append(message[end:stop])
        elif not was_gone:
            parts.append(message[end:start] + _LEFT_OUT)
        end, was_gone = stop, number in gone
    return "".join([*parts, message[end:]])


def _runs(words: list[str], keep: Collection[str], *, is_short: bool) -> Iterator[tuple[bytes, int, int]]:
    """What is searched for: patterns, and which words of the message each is, from and to."""
    for number, word in enumerate(words):
        is_rare = len(word) >= _LONG_WORD or not word.isascii() or any(character.isdigit() for character in word)
        if word not in keep and (is_rare or (is_short and len(word) >= _SHORTEST_WORD)):
            yield re2.escape(word.encode("utf-8", "replace")), number, number + 1
        row = words[number : number + _IN_A_ROW]
        if len(row) == _IN_A_ROW:
            yield _BETWEEN.join(re2.escape(one.encode("utf-8", "replace")) for one in row), number, number + _IN_A_ROW


def _found(patterns: list[bytes], written: bytes) -> list[int]:
    """Which of the patterns are in `written`, in one pass over it."""
    if not patterns:
        return []
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    every = re2.Set.SearchSet(options)
    for pattern in patterns:
        every.Add(pattern)
    every.Compile()
    return list(every.Match(written) or ())
