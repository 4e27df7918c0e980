"""Seconds of sound in Ogg, Opus or Vorbis, from the packets that are there.

Sources: RFC 3533 (Ogg), RFC 7845 and 6716 (Opus), Xiph's "Vorbis I".
"""

from typing import Final

from scalix.domain.media.extent import CantTell, Extent, Work
from scalix.domain.media.patterns import byte_pattern

LONGEST_OPUS_S: Final = 0.12
_OPUS_HZ: Final = 48_000
_FASTEST_HZ: Final = 768_000
_PAGE: Final = byte_pattern(rb"OggS")
_BEGINS, _GOES_ON = 2, 1


def ogg(data: bytes, work: Work) -> Extent:
    """Every page counts, wherever its mark stands, of every stream in the file, chained or beside another: what one
    reader passes over another finds. The position that a page states counts only where it is more."""
    opus_s = vorbis_packet_s = 0.0
    packets = last_sample = 0
    slowest_hz = _OPUS_HZ
    has_opus = False
    for found in _PAGE.finditer(data):
        at = found.start()
        if at + 27 > len(data):
            break
        table = data[at + 27 : at + 27 + data[at + 26]]
        work.step(2 + (len(table) >> 2))
        body = at + 27 + len(table)
        if data[at + 5] & _BEGINS:
            head = data[body : body + 30]
            if head.startswith(b"\x01vorbis"):
                vorbis_packet_s = max(vorbis_packet_s, vorbis_seconds(head))
                slowest_hz = min(slowest_hz, int.from_bytes(head[12:16], "little"))
            elif head.startswith(b"OpusHead"):
                has_opus = True
            else:
                raise CantTell
        last_sample = max(last_sample, int.from_bytes(data[at + 6 : at + 14], "little", signed=True))
        goes_on = bool(data[at + 5] & _GOES_ON)
        for lace in table:
            if not goes_on:
                packets += 1
                opus_s += opus_seconds(data[body : body + 2])
            body += lace
            goes_on = lace == 255
    if not has_opus and not vorbis_packet_s:
        raise CantTell
    packets_s = max(opus_s if has_opus else 0.0, packets * vorbis_packet_s)
    return Extent("ogg", seconds=max(packets_s, last_sample / slowest_hz))


def opus_seconds(packet: bytes) -> float:
    """The length of one Opus packet, by its first two bytes."""
    if not packet:
        return 0.0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame_ms = (10.0, 20.0, 40.0, 60.0)[config & 3]
    elif config < 16:
        frame_ms = (10.0, 20.0)[config & 1]
    else:
        frame_ms = (2.5, 5.0, 10.0, 20.0)[config & 3]
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[code]
    return min(LONGEST_OPUS_S, frames * frame_ms / 1_000)


def vorbis_seconds(header: bytes) -> float:
    """The longest that one packet can be after this identification header, which begins with 1 and `vorbis`."""
    hz = int.from_bytes(header[12:16], "little")
    if len(header) < 29 or not 0 < hz <= _FASTEST_HZ:
        raise CantTell
    return (1 << (header[28] >> 4)) / 2 / hz
