"""Measures the seconds of sound in Ogg, with Opus or Vorbis, by the packets in the file.

Sources: RFC 3533 (Ogg), RFC 7845 and 6716 (Opus), Xiph's "Vorbis I".
"""

from typing import Final

from scalix.domain.byte_patterns import byte_pattern
from scalix.domain.media.extent import FASTEST_HZ, Extent, Work, cant_tell_if, le

LONGEST_OPUS_S: Final = 0.12
_OPUS_HZ: Final = 48_000
_PAGE: Final = byte_pattern(rb"OggS")
_BEGINS, _GOES_ON = 2, 1
# By the two parts of a packet's configuration number.
_OPUS_FRAMES_MS: Final = 3 * ((10.0, 20.0, 40.0, 60.0),) + ((10.0, 20.0, 10.0, 20.0),) + 4 * ((2.5, 5.0, 10.0, 20.0),)


def ogg(data: bytes, work: Work) -> Extent:
    """Counts every page of every stream, chained or multiplexed, wherever its mark is: what one reader skips another
    finds. The position that a page states counts only if it is larger."""
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
                slowest_hz = min(slowest_hz, le(head, 12, 4))
            else:
                cant_tell_if(not head.startswith(b"OpusHead"))
                has_opus = True
        last_sample = max(last_sample, int.from_bytes(data[at + 6 : at + 14], "little", signed=True))
        goes_on = bool(data[at + 5] & _GOES_ON)
        for lace in table:
            if not goes_on:
                packets += 1
                opus_s += opus_seconds(data[body : body + 2])
            body += lace
            goes_on = lace == 255
    cant_tell_if(not has_opus and not vorbis_packet_s)
    packets_s = max(opus_s if has_opus else 0.0, packets * vorbis_packet_s)
    return Extent("ogg", seconds=max(packets_s, last_sample / slowest_hz))


def opus_seconds(packet: bytes) -> float:
    """The length of one Opus packet, by its first two bytes."""
    if not packet:
        return 0.0
    config, code = packet[0] >> 3, packet[0] & 3
    frame_ms = _OPUS_FRAMES_MS[config >> 2][config & 3]
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[code]
    return min(LONGEST_OPUS_S, frames * frame_ms / 1_000)


def vorbis_seconds(header: bytes) -> float:
    """The longest packet that this identification header, which begins with 1 and `vorbis`, allows."""
    hz = le(header, 12, 4)
    cant_tell_if(len(header) < 29 or not 0 < hz <= FASTEST_HZ)
    return (1 << (header[28] >> 4)) / 2 / hz
