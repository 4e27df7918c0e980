"""Reads all objects in the bytes of a PDF, wherever its tables say they are.

Readers follow cross-reference tables, old or new, or search if these are broken. Each of them finds only what is read
here: objects at their mark (`7 0 obj`), and those in object streams. Source: ISO 32000-1, 7.2 to 7.5.
"""

import zlib
from bisect import bisect_right
from typing import Final

from scalix.domain.byte_patterns import byte_pattern
from scalix.domain.media.extent import CantTell, Work, cant_tell_if

_MOST_OBJECTS: Final = 20_000
_MOST_STRUCTURE_BYTES: Final = 4 * 1024 * 1024
_PIECE: Final = 16 * 1024
_LONGEST_MARK: Final = 40
SPACES: Final = b"\0\t\n\f\r "
_SPACE: Final = rb"[\x00\t\n\f\r ]"
_STREAM: Final = byte_pattern(rb">>" + _SPACE + rb"*stream(\r\n|\r|\n)?")
_NUMBER: Final = byte_pattern(rb"^" + _SPACE + rb"*([0-9]{1,9})" + _SPACE + rb"*([0-9R]*)")
_FLATE: Final = byte_pattern(
    rb"^" + _SPACE + rb"*(?:/Fl(?:ateDecode)?[^A-Za-z0-9]|\[" + _SPACE + rb"*/Fl(?:ateDecode)?" + _SPACE + rb"*\])"
)
_DIGITS: Final = b"0123456789"
_HEX: Final = b"0123456789ABCDEFabcdef"


class PdfObjects:
    """The objects of one file. `text` is the text of all objects without streams, with escapes in names decoded;
    `object_at` tells which object a place in it belongs to. `streams` has for each object where the data begins in the
    file, and the dictionary's text."""

    def __init__(self, data: bytes, work: Work) -> None:
        self._data = data
        self._work = work
        self._read: dict[int, bytes] = {}
        self._numbers: list[int] = []
        self._starts: list[int] = []
        self._size = 0
        self.texts: list[bytes] = []
        self.streams: dict[int, list[tuple[int, bytes]]] = {}
        self._read_file()
        for start, head in [stream for streams in self.streams.values() for stream in streams]:
            if b"/ObjStm" in head or values_of(head, b"First"):
                self._read_object_stream(start, head)
        self.text = b"\n".join(self.texts)

    def object_at(self, place: int) -> int:
        """The number of the object that `place` in `text` belongs to."""
        return self._numbers[bisect_right(self._starts, place) - 1]

    def all_texts(self) -> dict[int, list[bytes]]:
        """The texts of each object, of all its versions."""
        found: dict[int, list[bytes]] = {}
        for number, text in zip(self._numbers, self.texts, strict=True):
            found.setdefault(number, []).append(text)
        return found

    def content(self, start: int, head: bytes) -> bytes:
        """The data of a stream, inflated."""
        if start not in self._read:
            self._read[start] = self._read_content(start, head)
        return self._read[start]

    def _add(self, number: int, text: bytes) -> bytes:
        text = _unescaped(text, self._work)
        self._numbers.append(number)
        self._starts.append(self._size)
        self.texts.append(text)
        self._size += len(text) + 1
        cant_tell_if(len(self.texts) > _MOST_OBJECTS or self._size > _MOST_STRUCTURE_BYTES)
        return text

    def _read_file(self) -> None:
        data, marks = self._data, []
        at = data.find(b"obj")
        while at >= 0:
            self._work.step(2)
            if is_end_of_name(data, at + 3) and data[max(0, at - 3) : at] != b"end":
                before = data[max(0, at - _LONGEST_MARK) : at].replace(b"\0", b" ")
                *_, word, generation = (b"", b"", *before.split())
                digits = word[len(word.rstrip(_DIGITS)) :]
                if digits and len(digits) < 11 and generation.isdigit():
                    marks.append((int(digits), at + 3))
                elif not before or before[-1] in SPACES or before[-1:].isdigit():
                    raise CantTell  # written in a way that is not read here, or no mark
            at = data.find(b"obj", at + 3)
        for index, (number, start) in enumerate(marks):
            self._work.step(4)
            limit = marks[index + 1][1] if index + 1 < len(marks) else len(data)
            end = data.find(b"endobj", start, limit)
            limit = limit if end < 0 else end
            stream = _STREAM.search(data, start, limit)
            cant_tell_if((stream is None and end < 0) or (stream is not None and not stream.group(1)))
            head = data[start : limit if stream is None else stream.start() + 2]
            cant_tell_if(len(head) > _MOST_STRUCTURE_BYTES)
            # The end was found by searching, so it must not be inside a string or a comment.
            last_line = head.replace(b"\r", b"\n").rpartition(b"\n")[2]
            rest = outside_texts(head, self._work)
            cant_tell_if(b"%" in last_line or rest is None or (stream is None and b"stream" in rest))
            head = self._add(number, head)
            if stream is not None:
                self.streams.setdefault(number, []).append((stream.end(), head))

    def _read_object_stream(self, start: int, head: bytes) -> None:
        count, first = _one_number(head, b"N"), _one_number(head, b"First")
        cant_tell_if(b"/Predictor" in head or first > 20 * _MOST_OBJECTS)
        content = self.content(start, head)
        words = content[:first].split()[: 2 * count]
        self._work.step(len(words))
        cant_tell_if(len(words) % 2 or not all(word.isdigit() and len(word) < 10 for word in words))
        begins = [first + int(offset) for offset in words[1::2]]
        ordered = sorted(set(begins))
        ends = dict(zip(ordered, [*ordered[1:], len(content)], strict=True))
        for number, begin in zip(words[::2], begins, strict=True):
            self._add(int(number), content[begin : ends[begin]])

    def _read_content(self, start: int, head: bytes) -> bytes:
        filters = values_of(head, b"Filter")
        cant_tell_if(values_of(head, b"F"))  # the data is in another file
        if filters:
            cant_tell_if(len(filters) > 1 or _FLATE.search(filters[0]) is None)
            return self._inflated(start)
        end = self._data.find(b"endstream", start)
        cant_tell_if(end < 0)
        content = self._data[start : max(end, start + _one_number(head, b"Length"))]
        self._work.inflated(len(content))
        return content

    def _inflated(self, start: int) -> bytes:
        """Inflate until the compressed data ends, whatever length is stated."""
        stream, pieces, at = zlib.decompressobj(), [], start
        try:
            while not stream.eof and at < len(self._data):
                self._work.step(4)
                pieces.append(stream.decompress(stream.unconsumed_tail or self._data[at : at + _PIECE], 8 * _PIECE))
                self._work.inflated(len(pieces[-1]))
                if not stream.unconsumed_tail:
                    at += _PIECE
        except zlib.error:
            raise CantTell from None
        return b"".join(pieces)


def values_of(text: bytes, name: bytes) -> list[bytes]:
    """The text after each `/name` in a dictionary, at most 200 bytes of it."""
    found, start = [], 0
    while (at := text.find(b"/" + name, start)) >= 0:
        start = at + 1 + len(name)
        if is_end_of_name(text, start):
            found.append(text[start : start + 200])
    return found


def is_end_of_name(text: bytes, at: int) -> bool:
    """Whether a name ends before `at`."""
    return at >= len(text) or text[at] in b"()<>[]{}/%" or text[at] in SPACES


def outside_texts(text: bytes, work: Work) -> bytes | None:
    """`text` without its strings in parentheses; `None` if readers may disagree on what those are."""
    if b"(" not in text and b")" not in text:
        return text
    work.step((text.count(b"(") + text.count(b")")) >> 3)
    marked = text.replace(b"\\\\", b"\\.").replace(b"\\(", b"\\.").replace(b"\\)", b"\\.")
    first, *pieces = marked.split(b"(")
    outside, depth = [first], 0
    for piece in pieces:
        depth += 1
        closed = piece.split(b")", depth)
        depth -= len(closed) - 1
        if not depth:
            outside.append(closed[-1])
    rest = b" ".join(outside)
    # Not every reader takes a backslash outside strings for an escape.
    return None if depth or b")" in rest or b"\\" in rest else rest


def _unescaped(text: bytes, work: Work) -> bytes:
    """`text` with escapes in names, such as `#41`, decoded."""
    if b"#" not in text:
        return text
    work.step(text.count(b"#") >> 1)
    first, *pieces = text.split(b"#")
    whole = [first]
    for piece in pieces:
        is_escape = len(piece) > 1 and piece[0] in _HEX and piece[1] in _HEX
        whole.append(bytes((int(piece[:2], 16),)) + piece[2:] if is_escape else b"#" + piece)
    return b"".join(whole)


def _one_number(head: bytes, name: bytes) -> int:
    values = values_of(head, name)
    number = _NUMBER.search(values[0]) if len(values) == 1 else None
    if number is None or number.group(2):  # the number is in another object
        raise CantTell
    return int(number.group(1))
