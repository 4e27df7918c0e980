"""How wide texts are in a terminal, and how they are made narrower: wrapped, or shortened in the middle."""

import unicodedata
from collections.abc import Iterator

ELLIPSIS = "…"
# They join or colour what stands before them, and terminals disagree on how wide the whole is then.
_LEFT_OUT = frozenset("\u200c\u200d\ufe0e\ufe0f")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_LEFT_TO_RIGHT_MARK = "\u200e"
_BREAKS = " -/_.:,@"


def plain(text: str) -> str:
    """A text that nothing in it can steer a terminal by: `?` for what is not printable."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() else "?" for char in text if char not in _LEFT_OUT)


def width_of(text: str) -> int:
    """The columns that a text takes, by the rules of wcwidth."""
    return len(text) if text.isascii() else sum(map(_width, text))


def kept_apart(text: str) -> str:
    """A text with letters from right to left, so that it turns nothing around that stands beside it."""
    if text.isascii() or not any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in text):
        return text
    return f"{_LEFT_TO_RIGHT_MARK}{text}{_LEFT_TO_RIGHT_MARK}"


def shortened(text: str, width: int) -> str:
    """A text with its middle left out, at most `width` wide."""
    if width_of(text) <= width:
        return text
    clusters = list(_clusters(text))
    head = _taken(clusters, (width - 1 + 1) // 2)
    tail = _taken(clusters[::-1], width - 1 - width_of(head))
    return head + ELLIPSIS + "".join(reversed(list(_clusters(tail))))


def wrapped(text: str, width: int, breaks: str = _BREAKS) -> list[str]:
    """A text in lines of at most `width`, broken after spaces and marks where that is near enough."""
    lines, line, broken = list[str](), "", 0
    for cluster in _clusters(text):
        if line and width_of(line) + width_of(cluster) > width:
            at = broken if 2 * broken >= len(line) else len(line)
            lines.append(line[:at].rstrip())
            line, broken = line[at:].lstrip(), 0
        if line or cluster != " ":
            line += cluster
        if cluster in breaks:
            broken = len(line)
    return [*lines, line]


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf") or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _clusters(text: str) -> Iterator[str]:
    """Letters with the marks that stand on them."""
    cluster = ""
    for char in text:
        if cluster and _width(char):
            yield cluster
            cluster = ""
        cluster += char
    if cluster:
        yield cluster


def _taken(clusters: list[str], width: int) -> str:
    taken, left = "", width
    for cluster in clusters:
        left -= width_of(cluster)
        if left < 0:
            break
        taken += cluster
    return taken
