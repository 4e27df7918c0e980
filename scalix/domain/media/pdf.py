"""Measures the pages and the text of a PDF: the most that any reader could find in it.

Readers differ on which version of an object counts, on whether the page tree or its `/Count` is right, and on how text
is extracted. The larger figure counts each time. Files that are encrypted, damaged or ambiguous can't be measured.
Source: ISO 32000-1 (7.7 document structure, 9.4 text, 9.10 extraction of text, 14.9.4).
"""

import binascii
from typing import Final

from scalix.domain.byte_patterns import byte_pattern
from scalix.domain.media.extent import CantTell, Extent, Work, cant_tell_if
from scalix.domain.media.pdf_objects import SPACES, PdfObjects, is_end_of_name, outside_texts

_KEYS: Final = byte_pattern(
    rb"/(Kids|Contents|Pages|Page|Count|Form|Subtype|ToUnicode|Differences|ActualText|Annots|Encrypt)"
)
_REFERENCE: Final = byte_pattern(rb"^[\x00\t\n\f\r ]*([0-9]{1,10})[\x00\t\n\f\r ]+[0-9]{1,5}[\x00\t\n\f\r ]+R")
_WHOLE: Final = byte_pattern(rb"^-?[0-9]{1,9}(?:[\x00\t\n\f\r />]|$)")
_IN_ARRAYS: Final = b"0123456789R" + SPACES
_UNIT_TOKENS: Final = 3  # of one UTF-16 unit: at most its bytes in UTF-8
_UNIT_DIGITS: Final = 4
_DEEPEST: Final = 8
_LONGEST_ENCODING: Final = 20_000
_MOST: Final = 10**12  # beyond any window of tokens


def pdf(data: bytes, work: Work) -> Extent:
    """Pages by the page tree, its counts or the page objects; text by what the pages show, times the most that their
    fonts can make of a byte."""
    return _Document(data, work).extent()


class _Document:
    def __init__(self, data: bytes, work: Work) -> None:
        self._work = work
        self._objects = PdfObjects(data, work)
        self._versions = self._objects.all_texts()
        self._text = self._objects.text
        self._lists: dict[int, list[int]] = {}
        self._places: dict[bytes, list[tuple[int, int]]] = {}
        for found in _KEYS.finditer(self._text):
            work.step(4)
            if is_end_of_name(self._text, found.end()):
                place = found.end(), self._objects.object_at(found.start())
                self._places.setdefault(found.group(1), []).append(place)
        # It is in the trailer, which is no object. If it is spelled in another way, nothing can be inflated.
        cant_tell_if(b"Encrypt" in self._places or b"/Encrypt" in data)

    def extent(self) -> Extent:
        kids = self._references_of(b"Kids")
        contents = self._references_of(b"Contents")
        roots = {root for found in self._references_of(b"Pages").values() for version in found for root in version}
        cant_tell_if(not kids or not roots)
        of_a_form = self._form_bytes()
        streams = {number for versions in contents.values() for version in versions for number in version}
        shown = {number: self._shown_bytes(number, of_a_form) for number in streams}
        own = {
            page: max(sum(shown[number] for number in version) for version in versions)
            for page, versions in contents.items()
        }
        # Annotations and filled-in fields are drawn by forms too.
        for page, versions in (self._references_of(b"Annots") if of_a_form else {}).items():
            own[page] = own.get(page, 0) + max(map(len, versions)) * of_a_form
        pages, text = self._totals(roots, kids, own)
        counts = [self._number_at(place) for place, number in self._places.get(b"Count", ()) if number in kids]
        pages = max(pages, len({number for _, number in self._places.get(b"Page", ())}), *counts)
        text = max(text, sum(own.values())) + sum(map(self._text_bytes, self._objects.texts))
        text += self._replaced_bytes(shown) * pages
        text_tokens = int(min(_MOST, text) * self._most_tokens_of_a_byte())
        return Extent("pdf", pages=min(_MOST, pages), text_tokens=min(_MOST, text_tokens))

    def _value_at(self, place: int) -> bytes:
        return self._text[place : place + 64].lstrip(SPACES)

    def _references_of(self, key: bytes) -> dict[int, list[list[int]]]:
        """The objects to which each object refers under `key`, in each of its versions."""
        found: dict[int, list[list[int]]] = {}
        for place, number in self._places.get(key, ()):
            value = self._value_at(place)
            if value.startswith(b"["):
                start = self._text.index(b"[", place) + 1
                refers = self._listed(self._text[start : self._text.find(b"]", start)])
            elif reference := _REFERENCE.search(value):
                refers = self._followed(int(reference.group(1)))
            elif key == b"Contents" and value[:1] in (b"(", b"<"):
                continue  # an annotation's text, which is counted with all objects
            elif key == b"Pages" and value[:1] in (b"/", b">"):
                continue  # `/Type /Pages`
            else:
                raise CantTell
            found.setdefault(number, []).append(refers)
        return found

    def _listed(self, array: bytes) -> list[int]:
        self._work.step(array.count(b"R") >> 1)
        words = array.replace(b"R", b" R ").split()
        numbers, marks = words[::3], words[2::3]
        cant_tell_if(array.translate(None, _IN_ARRAYS) or len(marks) != len(numbers) or marks != [b"R"] * len(marks))
        cant_tell_if(not all(len(number) < 11 and number.isdigit() for number in numbers))
        return list(map(int, numbers))

    def _followed(self, number: int) -> list[int]:
        """The object `number`, or those that it lists if it is an array."""
        if number not in self._lists:
            found = []
            for text in self._versions.get(number, ()):
                array = text.strip(SPACES)
                if array.startswith(b"["):
                    found += self._listed(array[1:].partition(b"]")[0])
                elif _REFERENCE.search(array[:64]):
                    raise CantTell
            self._lists[number] = found or [number]
        self._work.step(len(self._lists[number]))
        return self._lists[number]

    def _totals(self, roots: set[int], kids: dict[int, list[list[int]]], own: dict[int, int]) -> tuple[int, int]:
        """Pages and bytes of text under the roots. What several places refer to counts in each of them."""
        totals: dict[int, tuple[int, int]] = {}
        begun: set[int] = set()
        stack = list(roots)
        while stack:
            self._work.step()
            node = stack[-1]
            versions = kids.get(node, ()) if node not in totals else ()
            waits_for = {kid for version in versions for kid in version if kid not in totals}
            if waits_for:
                cant_tell_if(node in begun)  # a tree with a cycle
                begun.add(node)
                stack.extend(waits_for)
                continue
            stack.pop()
            if node not in totals:
                pages = max((sum(totals[kid][0] for kid in version) for version in versions), default=0)
                text = max((sum(totals[kid][1] for kid in version) for version in versions), default=0)
                totals[node] = min(_MOST, max(1, pages)), min(_MOST, text + own.get(node, 0))
        return max(totals[root][0] for root in roots), max(totals[root][1] for root in roots)

    def _number_at(self, place: int) -> int:
        value = self._value_at(place)
        number = _WHOLE.search(value[:16])
        if number is None or _REFERENCE.search(value):
            raise CantTell
        return int(number.group(0).strip(SPACES + b"/>"))

    def _form_bytes(self) -> int:
        """The most bytes that a form shows, including the forms in it."""
        cant_tell_if(
            any(not self._value_at(place).startswith(b"/") for place, _ in self._places.get(b"Subtype", ()))
        )  # may hide a form
        numbers = {number for _, number in self._places.get(b"Form", ())}
        forms = [form for number in numbers for form in self._read(number)]
        most = max(map(self._text_bytes, forms), default=0)
        # Which form shows which is not read, so each may show the longest one as often as any form shows another.
        shows = max((form.count(b"Do") for form in forms), default=0)
        depth = sum(1 for form in forms if b"Do" in form)
        cant_tell_if(most and shows > 1 and depth > _DEEPEST)
        return most * sum(shows**level for level in range(depth + 1)) if most else 0

    def _shown_bytes(self, number: int, of_a_form: int) -> int:
        """The most bytes of text that a content stream shows."""
        shown = (self._text_bytes(data) + data.count(b"Do") * of_a_form for data in self._read(number))
        return max(shown, default=0)

    def _read(self, number: int) -> list[bytes]:
        return [self._objects.content(*stream) for stream in self._objects.streams.get(number, ())]

    def _text_bytes(self, content: bytes) -> int:
        """The bytes in strings, and one more for each: a space or a line's end. All of `content` if in doubt, or if
        that is too much work."""
        strings = content.count(b"(") + content.count(b"<")
        if strings > self._work.steps:
            return len(content)
        self._work.step(strings >> 2)
        rest = outside_texts(content, self._work)
        if rest is None:
            return len(content)
        size = len(content) - len(rest)
        for piece in rest.replace(b"<<", b"").split(b"<")[1:]:
            digits, closed, _ = piece.partition(b">")
            if not closed:
                return len(content)
            size += len(digits) // 2 + 1
        return size

    def _replaced_bytes(self, shown: dict[int, int]) -> int:
        """The most bytes that replacement texts (`/ActualText`) add on a page."""
        said = {number for _, number in self._places.get(b"ActualText", ())}
        longest = max((len(text) for number in said for text in self._versions[number]), default=0)
        times = 0
        for data in (data for number in shown for data in self._read(number) if longest):
            within = sum(data.count(b">>" + space + b"BDC") for space in (b"", b" ", b"\n", b"\r\n"))
            times = max(times, data.count(b"BDC") - within)
        return longest * times

    def _most_tokens_of_a_byte(self) -> float:
        """How many tokens one byte may stand for, by the maps of the fonts: a code may mean a long text."""
        most = 1
        of_two_bytes = b"Differences" not in self._places
        for place, number in self._places.get(b"ToUnicode", ()):
            most = max(most, _UNIT_TOKENS)
            of_two_bytes &= all(b"/Type0" in text and b"/Identity-" in text for text in self._versions[number])
            if reference := _REFERENCE.search(self._value_at(place)):
                most = max(most, self._longest_of_maps(int(reference.group(1))))
        for place, _ in self._places.get(b"Differences", ()):
            end = self._text.find(b"]", place, place + _LONGEST_ENCODING)
            cant_tell_if(end < 0 or not self._value_at(place).startswith(b"["))
            for name in self._text[place:end].split(b"/"):
                self._work.step()
                is_coded = name[3:7].isalnum() and name.startswith(b"uni") and name[3:4] in b"0123456789ABCDEF"
                most = max(most, name.count(b"_") + 1, len(name) // _UNIT_DIGITS * _UNIT_TOKENS if is_coded else 1)
        return most / 2 if of_two_bytes and most > 1 else most

    def _longest_of_maps(self, number: int) -> int:
        """The length in UTF-8 bytes of the longest text that a map has for a code."""
        longest = 0
        for content in self._read(number):
            for piece in content.replace(b"<<", b"").split(b"<")[1:]:
                self._work.step()
                digits = piece.partition(b">")[0].translate(None, SPACES)
                if len(digits) > _UNIT_DIGITS:
                    longest = max(longest, _utf8_bytes(digits))
            cant_tell_if(b"(" in content[content.find(b"beginbf") :])
        return longest


def _utf8_bytes(digits: bytes) -> int:
    try:
        return len(binascii.unhexlify(digits).decode("utf-16-be", "replace").encode("utf-8", "replace"))
    except binascii.Error:
        return len(digits) * _UNIT_TOKENS // _UNIT_DIGITS + 1
