"""Measures the seconds of sound in WebM (Opus, Vorbis) by the packets in its blocks.

Sources: RFC 8794 (EBML), RFC 9559 (Matroska).
"""

import struct
from typing import Final

from scalix.domain.media.extent import CantTell, Extent, Work, cant_tell_if
from scalix.domain.media.ogg import LONGEST_OPUS_S, opus_seconds, vorbis_seconds

# Segment, Info, Tracks, TrackEntry, Cluster, BlockGroup
_MASTERS: Final = frozenset({0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675, 0xA0})
_BLOCK, _SIMPLE_BLOCK, _CLUSTER_TIME = 0xA1, 0xA3, 0xE7
_TICK_NS, _DURATION = 0x2AD7B1, 0x4489
_TRACK_TYPE, _CODEC, _CODEC_PRIVATE, _ENCODINGS = 0x83, 0x86, 0x63A2, 0x6D80
_SOUND: Final = b"\x02"
_LACED: Final = 0x06
_MOST_BLOCK_TICKS: Final = 0x8000  # after its cluster's time
_DEFAULT_TICK_NS: Final = 1_000_000


def webm(data: bytes, work: Work) -> Extent:
    """Counts every block. The stated length and the last cluster's time count if they are larger. Video, encryption and
    other codecs can't be measured."""
    at = blocks = last_tick = 0
    opus_s = vorbis_packet_s = duration = 0.0
    tick_ns = _DEFAULT_TICK_NS
    codecs = set()
    while at < len(data):
        work.step(2)
        element, at = _number(data, at, with_mark=True)
        size, at = _number(data, at, with_mark=False)
        if element in _MASTERS:
            continue  # its end does not matter, and may not be stated
        if size is None or at + size > len(data):
            raise CantTell
        content = data[at : at + min(size, 512)]
        if element in (_SIMPLE_BLOCK, _BLOCK):
            frames, packet = _frames(content)
            blocks += frames
            opus_s += opus_seconds(packet) if frames == 1 else frames * LONGEST_OPUS_S
        elif element == _CLUSTER_TIME:
            last_tick = max(last_tick, int.from_bytes(content) + _MOST_BLOCK_TICKS)
        elif element == _TICK_NS:
            tick_ns = max(tick_ns, int.from_bytes(content))
        elif element == _DURATION:
            duration = max(duration, _float(content))
        elif element == _CODEC:
            codecs.add(content.rstrip(b"\0"))
        elif element == _CODEC_PRIVATE:
            start = content.find(b"\x01vorbis")
            if start >= 0:
                vorbis_packet_s = max(vorbis_packet_s, vorbis_seconds(content[start:]))
        cant_tell_if(element == _ENCODINGS or (element == _TRACK_TYPE and content != _SOUND))
        at += size
    cant_tell_if(not codecs or codecs - {b"A_OPUS", b"A_VORBIS"})
    cant_tell_if(b"A_VORBIS" in codecs and not vorbis_packet_s)
    packets_s = max(opus_s if b"A_OPUS" in codecs else 0.0, blocks * vorbis_packet_s)
    return Extent("webm", seconds=max(packets_s, max(duration, last_tick) * tick_ns / 1e9))


def _frames(block: bytes) -> tuple[int, bytes]:
    """The number of frames in a block, and the beginning of the first if it is the only one."""
    _, at = _number(block, 0, with_mark=False)
    cant_tell_if(len(block) < at + 3)
    if block[at + 2] & _LACED:
        return int.from_bytes(block[at + 3 : at + 4]) + 1, b""
    return 1, block[at + 3 : at + 5]


def _number(data: bytes, at: int, *, with_mark: bool) -> tuple[int | None, int]:
    """An element's name (`with_mark`) or a size, `None` if it is not stated, and where it ends."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    cant_tell_if(not first or at + length > len(data))
    number, mask = int.from_bytes(data[at : at + length]), (1 << 7 * length) - 1
    if with_mark:
        return number, at + length
    return (None if number & mask == mask else number & mask), at + length


def _float(content: bytes) -> float:
    if not content:
        return 0.0
    cant_tell_if(len(content) not in (4, 8))
    value: float = struct.unpack(">f" if len(content) == 4 else ">d", content)[0]
    cant_tell_if(not value <= 1e18)  # NaN too
    return value
