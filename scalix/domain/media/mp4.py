"""Seconds of sound in M4A (AAC, ALAC), from its sample tables, edit lists and headers: the longest that any says.

Sources: ISO 14496-12 (boxes), -14 and -1 (`esds`), -3 (AudioSpecificConfig); Apple's "ALAC Magic Cookie".
"""

from typing import Final

from scalix.domain.media.extent import CantTell, Extent, Work
from scalix.domain.media.patterns import byte_pattern

_FASTEST_HZ: Final = 768_000
_AAC: Final = (b"\x40", b"\x66", b"\x67", b"\x68")
_AAC_SAMPLES: Final = 1_024  # of the core; what extends it doubles both samples and rate
_AAC_HZ: Final = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_MARKS: Final = byte_pattern(rb"mvhd|mdhd|tkhd|stsz|stz2|stts|elst|stsd|esds|alac|hdlr|moof|mvex|cmov")


def mp4(data: bytes, work: Work) -> Extent:
    """All tables that are there, wherever their mark stands, count together. Files in fragments, with video, or of
    other codecs can't be told."""
    movie_hz = media_hz = _FASTEST_HZ
    movie_ticks = media_ticks = table_ticks = edited_ticks = samples = table_samples = 0
    sample_s = 0.0
    for found in _MARKS.finditer(data):
        work.step(4)
        kind, start = found.group(0), found.end()
        body = data[start : start + 64]
        wide = body[:1] == b"\x01"
        if kind == b"mvhd":
            movie_hz = min(movie_hz, _be(body, 20 if wide else 12, 4))
            movie_ticks = max(movie_ticks, _be(body, 24, 8) if wide else _be(body, 16, 4))
        elif kind == b"mdhd":
            media_hz = min(media_hz, _be(body, 20 if wide else 12, 4))
            media_ticks = max(media_ticks, _be(body, 24, 8) if wide else _be(body, 16, 4))
        elif kind == b"tkhd":
            movie_ticks = max(movie_ticks, _be(body, 28, 8) if wide else _be(body, 20, 4))
        elif kind in (b"stsz", b"stz2"):
            samples += _be(body, 8, 4)
        elif kind == b"stts":
            for at in _entries(data, start, 8, work):
                count = _be(data, at, 4)
                table_samples += count
                table_ticks += count * _be(data, at + 4, 4)
        elif kind == b"elst":
            entries = _entries(data, start, 20 if wide else 12, work)
            edited_ticks += sum(_be(data, at, 8 if wide else 4) for at in entries)
        elif kind == b"esds":
            sample_s = max(sample_s, _aac_sample_s(body))
        elif kind == b"alac":
            # The entry's name, and then the box in it, whose first four bytes are its version.
            if body[:4] == bytes(4) and _be(body, 24, 4):
                sample_s = max(sample_s, _be(body, 4, 4) / _be(body, 24, 4))
        elif kind == b"stsd":
            if body[4:8] != b"\0\0\0\x01" or body[12:16] not in (b"mp4a", b"alac"):
                raise CantTell
        elif kind != b"hdlr" or body[8:12] == b"vide":
            raise CantTell
    if not movie_hz or not media_hz or not sample_s:
        raise CantTell
    stated_s = max(movie_ticks, edited_ticks) / movie_hz
    table_s = max(media_ticks, table_ticks) / media_hz
    return Extent("mp4", seconds=max(stated_s, table_s, max(samples, table_samples) * sample_s))


def _entries(data: bytes, start: int, size: int, work: Work) -> range:
    count = min(_be(data, start + 4, 4), (len(data) - start) // size)
    work.step(count)
    return range(start + 8, start + 8 + size * count, size)


def _aac_sample_s(body: bytes) -> float:
    at = _after_length(body, 5)
    if body[4:5] != b"\x03" or body[at + 2 : at + 3] > b"\x1f" or body[at + 3 : at + 4] != b"\x04":
        raise CantTell
    at = _after_length(body, at + 4)
    if body[at : at + 1] not in _AAC or body[at + 13 : at + 14] != b"\x05":
        raise CantTell
    at = _after_length(body, at + 14)
    config = _be(body, at, 5)
    index = config >> 31 & 0xF
    if len(body) < at + 5 or config >> 35 == 31 or index in (13, 14):
        raise CantTell
    hz = config >> 7 & 0xFFFFFF if index == 15 else _AAC_HZ[index]
    if not hz:
        raise CantTell
    return _AAC_SAMPLES / hz


def _after_length(data: bytes, at: int) -> int:
    """Where the content of a descriptor begins whose length, of one to four bytes, is at `at`."""
    last = at + 3
    while at < last and data[at : at + 1] > b"\x7f":
        at += 1
    return at + 1


def _be(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size])
