"""Pixels and frames of PNG, JPEG, GIF and WebP, from their headers. Nothing is decoded.

A picture costs no more than its provider's dearest whatever its header says, since all scale it down; what has no
such bound is the number of frames, so each frame of an animation counts as a picture.
Sources: W3C PNG (third edition, with APNG), ITU T.81, GIF89a, Google's "WebP Container Specification".
"""

from scalix.domain.media.extent import CantTell, Extent, Work

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_LONGEST_SIDE = 100_000
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_SCAN = 0xDA
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def png(data: bytes, work: Work) -> Extent:
    """The size is the first chunk's; an `acTL` anywhere before the end makes it an animation, whose frames are the
    `fcTL` that are there or those that it states, whichever is more."""
    if data[8:16] != b"\0\0\0\rIHDR":
        raise CantTell
    size = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    frames, at = 1, 8
    while at + 8 <= len(data):
        work.step()
        kind = data[at + 4 : at + 8]
        if kind == b"acTL":
            # Past this one, frames are counted by their mark, wherever it stands.
            frames = max(int.from_bytes(data[at + 8 : at + 12]), data.count(b"fcTL") + 1)
            break
        if kind in (b"IDAT", b"IEND"):
            break
        at += 12 + int.from_bytes(data[at : at + 4])
    return _pictures("png", frames, [size])


def jpeg(data: bytes, work: Work) -> Extent:
    """The largest frame header before the first scan; a thumbnail lies within a segment, which is passed over."""
    sizes: list[tuple[int, int]] = []
    at = 2
    while True:
        work.step()
        while data[at : at + 2] == b"\xff\xff":
            work.step()
            at += 1
        if data[at : at + 1] != b"\xff" or at + 4 > len(data):
            raise CantTell
        marker = data[at + 1]
        if marker == _JPEG_SCAN:
            return _pictures("jpeg", 1, sizes)
        if marker in _JPEG_ALONE:
            at += 2
            continue
        if marker in _JPEG_SIZES:
            sizes.append((int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])))
        length = int.from_bytes(data[at + 2 : at + 4])
        if length < 2:
            raise CantTell
        at += 2 + length


def gif(data: bytes, work: Work) -> Extent:
    """The screen, or what frames reach beyond it, and the number of frames."""
    if len(data) < 13:
        raise CantTell
    width, height = _le16(data, 6), _le16(data, 8)
    at = 13 + _colours(data[10])
    frames = 0
    while at < len(data) and data[at] != 0x3B:
        work.step()
        if data[at] == 0x2C and at + 10 <= len(data):
            frames += 1
            width = max(width, _le16(data, at + 1) + _le16(data, at + 5))
            height = max(height, _le16(data, at + 3) + _le16(data, at + 7))
            at += 11 + _colours(data[at + 9])
        elif data[at] == 0x21:
            at += 2
        else:
            raise CantTell
        while at < len(data) and data[at]:
            work.step()
            at += 1 + data[at]
        at += 1
    return _pictures("gif", frames, [(width, height)])


def webp(data: bytes, work: Work) -> Extent:
    """The canvas or the one bitstream's size; each `ANMF` mark, wherever it stands, is a frame."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        size = int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        work.step(len(data) >> 16)
        return _pictures("webp", max(1, data.count(b"ANMF")), [size])
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a" and len(data) >= 30:
        return _pictures("webp", 1, [(_le16(data, 26) & 0x3FFF, _le16(data, 28) & 0x3FFF)])
    if kind == b"VP8L" and data[20:21] == b"\x2f" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return _pictures("webp", 1, [((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)])
    raise CantTell


def _pictures(kind: str, frames: int, sizes: list[tuple[int, int]]) -> Extent:
    width = max((width for width, _ in sizes), default=0)
    height = max((height for _, height in sizes), default=0)
    # A JPEG may give its height after the first scan, and then says 0 here.
    if not frames or not 0 < width <= _LONGEST_SIDE or not 0 < height <= _LONGEST_SIDE:
        raise CantTell
    if any(not width or not height for width, height in sizes):
        raise CantTell
    return Extent(kind, pictures=frames, pixels=(width, height))


def _le16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _colours(flags: int) -> int:
    """The bytes of a GIF's colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
