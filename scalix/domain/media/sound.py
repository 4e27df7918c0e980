"""Measures the seconds of WAV, MP3 and FLAC by the samples and frames in the file, not by the stated length.

Sources: Microsoft "Multiple channel audio data and WAVE files"; ISO 11172-3 and 13818-3 (MPEG-2.5 as every decoder
reads it); RFC 9639.
"""

from typing import Final

from scalix.domain.byte_patterns import byte_pattern
from scalix.domain.media.extent import FASTEST_HZ, CantTell, Extent, Work, be, cant_tell_if, le

_PCM = frozenset({1, 3, 6, 7})  # integers, floats, A-law, mu-law: samples of a fixed size
_EXTENSIBLE = 0xFFFE
_FRAME_MARK: Final = byte_pattern(rb"\xff[\xf8\xf9]")
# The smallest frame of MPEG layer III: a header and its side information, for 72 ms at 8 kHz.
_LEAST_MP3_BYTES_PER_S: Final = 13 / 0.072


def wav(data: bytes, work: Work) -> Extent:
    """The whole file counts as samples: a reader may read past the stated size of a chunk."""
    at, rates = 12, []
    while data[at : at + 4] != b"data":
        work.step()
        cant_tell_if(at + 8 > len(data))
        size = le(data, at + 4, 4)
        if data[at : at + 4] == b"fmt ":
            rates.append(_bytes_per_s(data[at + 8 : at + 8 + size]))
        at += 8 + size + (size & 1)
    cant_tell_if(at + 8 > len(data) or not rates)
    return Extent("wav", seconds=len(data) / min(rates))


def _bytes_per_s(fmt: bytes) -> int:
    cant_tell_if(len(fmt) < 16)
    code, channels, hz = le(fmt, 0, 2), le(fmt, 2, 2), le(fmt, 4, 4)
    if code == _EXTENSIBLE and len(fmt) >= 26:
        code = le(fmt, 24, 2)
    frame_bytes = min(channels * (le(fmt, 14, 2) + 7) // 8, le(fmt, 12, 2))
    cant_tell_if(code not in _PCM or not frame_bytes or not 0 < hz <= FASTEST_HZ)
    return min(frame_bytes * hz, le(fmt, 8, 4) or frame_bytes * hz)


def mp3(data: bytes, work: Work) -> Extent:
    """Counts frame by frame. At the first byte that belongs to no frame readers differ, so the rest counts as the
    smallest possible frames. Headers that state the length (Xing, VBRI) are not read."""
    start = at = _after_id3(data)
    seconds, steps, end = 0.0, 2 * work.steps, len(data) - 3  # a frame is half a step
    while at < end and data[at] == 0xFF and (frame := _MP3_FRAMES.get((data[at + 1] << 8 | data[at + 2]) & 0xFEFE)):
        steps -= 1
        if steps < 0:
            raise CantTell
        at += frame[0]
        seconds += frame[1]
    work.steps = steps // 2
    cant_tell_if(at == start)
    return Extent("mp3", seconds=seconds + max(0, len(data) - at) / _LEAST_MP3_BYTES_PER_S)


def _after_id3(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size


_MPEG_1_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG_2_KBITS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# The bytes and seconds of a layer III frame, by the second and third byte of its header without the bits for CRC and
# private use.
_MP3_FRAMES = {
    (0xE2 | version << 3) << 8 | bitrate << 4 | rate << 2 | padding << 1: (
        samples * kbit * 125 // rate_hz + padding,
        samples / rate_hz,
    )
    for version, kbits, rates, samples in (
        (3, _MPEG_1_KBITS, (44_100, 48_000, 32_000), 1_152),
        (2, _MPEG_2_KBITS, (22_050, 24_000, 16_000), 576),
        (0, _MPEG_2_KBITS, (11_025, 12_000, 8_000), 576),
    )
    for bitrate, kbit in enumerate(kbits, 1)
    for rate, rate_hz in enumerate(rates)
    for padding in (0, 1)
}


def flac(data: bytes, work: Work) -> Extent:
    """Counts every frame header with a right checksum, wherever it is: no reader finds more. The stated number of
    samples is not read."""
    cant_tell_if(data[4] & 0x7F or len(data) < 42 or data.find(b"fLaC", 4) >= 0)
    stated_hz = int.from_bytes(data[18:21]) >> 4
    seconds = 0.0
    for found in _FRAME_MARK.finditer(data):
        work.step(3)
        samples, hz = _flac_frame(data[found.start() : found.start() + 16])
        if samples:
            slowest_hz = min(hz or stated_hz, stated_hz or hz)
            cant_tell_if(not 0 < slowest_hz <= FASTEST_HZ)
            seconds += samples / slowest_hz
    cant_tell_if(not seconds)
    return Extent("flac", seconds=seconds)


def _flac_frame(head: bytes) -> tuple[int, int]:
    """The samples of a frame and its rate in Hz, 0 for the stream's own rate; no samples if it is no frame header."""
    if len(head) < 6:
        return 0, 0
    size, rate = head[2] >> 4, head[2] & 0xF
    lead = head[4]
    number_bytes = 1 if lead < 0x80 else 8 - (lead ^ 0xFF).bit_length()  # as in UTF-8, up to 36 bits
    at = 4 + number_bytes
    size_bytes = {6: 1, 7: 2}.get(size, 0)
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(rate, 0)
    end = at + size_bytes + rate_bytes
    if not size or rate == 15 or not 1 <= number_bytes <= 7 or end >= len(head) or _crc8(head[:end]) != head[end]:
        return 0, 0
    samples = {1: 192, 6: be(head, at, 1) + 1, 7: be(head, at, 2) + 1}.get(size)
    if samples is None:
        samples = 144 << size if size < 6 else 1 << size
    stated = be(head, at + size_bytes, rate_bytes)
    hz = stated * {12: 1_000, 14: 10}.get(rate, 1) if rate_bytes else _FLAC_HZ[rate]
    return samples, hz


_FLAC_HZ = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = _CRC8[crc ^ byte]
    return crc


def _crc8_of(byte: int) -> int:
    for _ in range(8):
        byte = byte << 1 ^ (0x107 if byte & 0x80 else 0)
    return byte


_CRC8 = bytes(_crc8_of(byte) for byte in range(256))
