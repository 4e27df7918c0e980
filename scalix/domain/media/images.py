"""Reads the size and the frames of PNG, JPEG, GIF and WebP from their headers. Nothing is decoded.

Providers scale pictures down, so that no header can make one dearer than a provider's dearest. The number of frames
has no such bound, so each frame of an animation counts as a picture.
Sources: W3C PNG (third edition, with APNG), ITU T.81, GIF89a, Google's "WebP Container Specification".
"""

from scalix.domain.media.extent import CantTell, Extent, Work, cant_tell_if, le

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_LONGEST_SIDE = 100_000
_JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_JPEG_SCAN = 0xDA
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def png(data: bytes, work: Work) -> Extent:
    """The size is in the first chunk. An `acTL` chunk makes it an animation; its frames are the `fcTL` marks or what it
    states, whichever is more."""
    cant_tell_if(data[8:16] != b"\0\0\0\rIHDR")
    size = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    frames, at = 1, 8
    while at + 8 <= len(data):
        work.step()
        kind = data[at + 4 : at + 8]
        if kind == b"acTL":
            # From here on frames are counted by their mark, wherever it is.
            frames = max(int.from_bytes(data[at + 8 : at + 12]), data.count(b"fcTL") + 1)
            break
        if kind in (b"IDAT", b"IEND"):
            break
        at += 12 + int.from_bytes(data[at : at + 4])
    return _pictures("png", frames, [size])


def jpeg(data: bytes, work: Work) -> Extent:
    """The largest frame header before the first scan. Thumbnails are inside segments, which are skipped."""
    sizes: list[tuple[int, int]] = []
    at = 2
    while True:
        work.step()
        while data[at : at + 2] == b"\xff\xff":
            work.step()
            at += 1
        cant_tell_if(data[at : at + 1] != b"\xff" or at + 4 > len(data))
        marker = data[at + 1]
        if marker == _JPEG_SCAN:
            return _pictures("jpeg", 1, sizes)
        if marker in _JPEG_ALONE:
            at += 2
            continue
        if marker in _JPEG_SIZES:
            sizes.append((int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])))
        length = int.from_bytes(data[at + 2 : at + 4])
        cant_tell_if(length < 2)
        at += 2 + length


def gif(data: bytes, work: Work) -> Extent:
    """The size of the screen, or how far frames reach beyond it, and the number of frames."""
    cant_tell_if(len(data) < 13)
    width, height = le(data, 6, 2), le(data, 8, 2)
    at = 13 + _colours(data[10])
    frames = 0
    while at < len(data) and data[at] != 0x3B:
        work.step()
        if data[at] == 0x2C and at + 10 <= len(data):
            frames += 1
            width = max(width, le(data, at + 1, 2) + le(data, at + 5, 2))
            height = max(height, le(data, at + 3, 2) + le(data, at + 7, 2))
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
    """The size of the canvas or of the only bitstream. Each `ANMF` mark, wherever it is, counts as a frame."""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        size = le(data, 24, 3) + 1, le(data, 27, 3) + 1
        work.step(len(data) >> 16)
        return _pictures("webp", max(1, data.count(b"ANMF")), [size])
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a" and len(data) >= 30:
        return _pictures("webp", 1, [(le(data, 26, 2) & 0x3FFF, le(data, 28, 2) & 0x3FFF)])
    if kind == b"VP8L" and data[20:21] == b"\x2f" and len(data) >= 25:
        bits = le(data, 21, 4)
        return _pictures("webp", 1, [((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)])
    raise CantTell


def _pictures(kind: str, frames: int, sizes: list[tuple[int, int]]) -> Extent:
    width = max((width for width, _ in sizes), default=0)
    height = max((height for _, height in sizes), default=0)
    # A JPEG may give its height after the first scan, and has 0 here then.
    cant_tell_if(not frames or not 0 < width <= _LONGEST_SIDE or not 0 < height <= _LONGEST_SIDE)
    cant_tell_if(any(not width or not height for width, height in sizes))
    return Extent(kind, pictures=frames, pixels=(width, height))


def _colours(flags: int) -> int:
    """The size in bytes of a GIF's colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
