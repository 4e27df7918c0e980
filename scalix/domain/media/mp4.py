"""Measures the seconds of sound in M4A (AAC, ALAC): the longest that sample tables, edit lists or headers say.

Sources: ISO 14496-12 (boxes), -14 and -1 (`esds`), -3 (AudioSpecificConfig); Apple's "ALAC Magic Cookie".
"""

from typing import Final

from scalix.domain.byte_patterns import byte_pattern
from scalix.domain.media.extent import FASTEST_HZ, Extent, Work, be, cant_tell_if

_AAC: Final = (b"\x40", b"\x66", b"\x67", b"\x68")
_AAC_SAMPLES: Final = 1_024  # of the core codec; extensions double both samples and rate
_AAC_HZ: Final = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_MARKS: Final = byte_pattern(rb"mvhd|mdhd|tkhd|stsz|stz2|stts|elst|stsd|esds|alac|hdlr|moof|mvex|cmov")


def mp4(data: bytes, work: Work) -> Extent:
    """Adds up all tables in the file, wherever their mark is. Fragmented files, video and other codecs can't be
    measured."""
    hz, ticks = dict.fromkeys((b"mvhd", b"mdhd"), FASTEST_HZ), dict.fromkeys((b"mvhd", b"mdhd"), 0)
    table_ticks = edited_ticks = samples = table_samples = 0
    sample_s = 0.0
    for found in _MARKS.finditer(data):
        work.step(4)
        kind, start = found.group(0), found.end()
        body = data[start : start + 64]
        wide = body[:1] == b"\x01"
        if kind in (b"mvhd", b"mdhd"):
            hz[kind] = min(hz[kind], be(body, 20 if wide else 12, 4))
            ticks[kind] = max(ticks[kind], be(body, 24, 8) if wide else be(body, 16, 4))
        elif kind == b"tkhd":
            ticks[b"mvhd"] = max(ticks[b"mvhd"], be(body, 28, 8) if wide else be(body, 20, 4))
        elif kind in (b"stsz", b"stz2"):
            samples += be(body, 8, 4)
        elif kind == b"stts":
            for at in _entries(data, start, 8, work):
                count = be(data, at, 4)
                table_samples += count
                table_ticks += count * be(data, at + 4, 4)
        elif kind == b"elst":
            entries = _entries(data, start, 20 if wide else 12, work)
            edited_ticks += sum(be(data, at, 8 if wide else 4) for at in entries)
        elif kind == b"esds":
            sample_s = max(sample_s, _aac_sample_s(body))
        elif kind == b"alac":
            # First comes the entry's name, then the box in it, whose first four bytes are its version.
            if body[:4] == bytes(4) and be(body, 24, 4):
                sample_s = max(sample_s, be(body, 4, 4) / be(body, 24, 4))
        elif kind == b"stsd":
            cant_tell_if(body[4:8] != b"\0\0\0\x01" or body[12:16] not in (b"mp4a", b"alac"))
        else:
            cant_tell_if(kind != b"hdlr" or body[8:12] == b"vide")
    cant_tell_if(not all(hz.values()) or not sample_s)
    stated_s = max(ticks[b"mvhd"], edited_ticks) / hz[b"mvhd"]
    table_s = max(ticks[b"mdhd"], table_ticks) / hz[b"mdhd"]
    return Extent("mp4", seconds=max(stated_s, table_s, max(samples, table_samples) * sample_s))


def _entries(data: bytes, start: int, size: int, work: Work) -> range:
    count = min(be(data, start + 4, 4), (len(data) - start) // size)
    work.step(count)
    return range(start + 8, start + 8 + size * count, size)


def _aac_sample_s(body: bytes) -> float:
    at = _after_length(body, 5)
    cant_tell_if(body[4:5] != b"\x03" or body[at + 2 : at + 3] > b"\x1f" or body[at + 3 : at + 4] != b"\x04")
    at = _after_length(body, at + 4)
    cant_tell_if(body[at : at + 1] not in _AAC or body[at + 13 : at + 14] != b"\x05")
    at = _after_length(body, at + 14)
    config = be(body, at, 5)
    index = config >> 31 & 0xF
    cant_tell_if(len(body) < at + 5 or config >> 35 == 31 or index in (13, 14))
    hz = config >> 7 & 0xFFFFFF if index == 15 else _AAC_HZ[index]
    cant_tell_if(not hz)
    return _AAC_SAMPLES / hz


def _after_length(data: bytes, at: int) -> int:
    """Where a descriptor's content begins, after its length of one to four bytes at `at`."""
    last = at + 3
    while at < last and data[at : at + 1] > b"\x7f":
        at += 1
    return at + 1
