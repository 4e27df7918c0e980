"""Media made byte for byte from the formats' specifications, as small as they can be."""

import struct
import wave
import zlib
from io import BytesIO


def png(width: int, height: int, *, frames: int = 0) -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))]
    if frames:
        chunks.append((b"acTL", struct.pack(">II", frames, 0)))
        chunks += [(b"fcTL", bytes(26))] * frames
    chunks += [(b"IDAT", zlib.compress(bytes((width + 1) * height) if width < 2_000 else b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes((marker,)) + struct.pack(">H", len(body) + 2) + body


def jpeg_frame(width: int, height: int, marker: int = 0xC0) -> bytes:
    return jpeg_segment(marker, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0")


def jpeg(*segments: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + jpeg_segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\x55" * 9 + b"\xff\xd9"


def gif(width: int, height: int, *, frames: int = 1, frame: tuple[int, int] | None = None) -> bytes:
    wide, high = frame or (width, height)
    picture = b"\x2c" + struct.pack("<HHHHB", 0, 0, wide, high, 0) + b"\x02\x02\x4c\x01\0"
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return b"GIF89a" + screen + (b"\x21\xf9\x04\0\0\0\0\0" + picture) * frames + b"\x3b"


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) & 1) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def webp_canvas(width: int, height: int) -> tuple[bytes, bytes]:
    return b"VP8X", b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def wav(seconds: float, hz: int = 16_000) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, hz, 0, "NONE", ""))
        writer.writeframes(bytes(2 * int(seconds * hz)))
    return file.getvalue()


def mp3(seconds: float) -> bytes:
    """128 kbit/s at 44.1 kHz: 417 bytes for 1,152 samples."""
    return (b"\xff\xfb\x90\0" + bytes(413)) * round(seconds * 44_100 / 1_152)


def crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ (0x107 if crc & 0x80 else 0)
    return crc


def flac(frames: int, hz: int = 16_000, *, stated_samples: int = 0) -> bytes:
    """Frames of 65,536 samples of silence: a constant, in some ten bytes each. They take their rate from the stream."""
    info = (
        struct.pack(">HH", 65_535, 65_535) + bytes(6) + (hz << 44 | 15 << 36 | stated_samples).to_bytes(8) + bytes(16)
    )
    made = []
    for number in range(frames):
        head = b"\xff\xf8\x70\x08" + chr(number).encode() + b"\xff\xff"
        made.append(head + bytes((crc8(head),)) + bytes(3) + bytes(2))
    return b"fLaC\x80\0\0\x22" + info + b"".join(made)


def ogg_page(body: list[bytes], *, granule: int = 0, flags: int = 0, serial: int = 1) -> bytes:
    table = b"".join(b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in body)
    head = b"OggS\0" + bytes((flags,)) + struct.pack("<qIII", granule, serial, 0, 0)
    return head + bytes((len(table),)) + table + b"".join(body)


def opus(packets: int, *, granule: int | None = None) -> bytes:
    """Packets of 60 ms in three bytes."""
    head = ogg_page([b"OpusHead\x01\x01\0\0" + struct.pack("<IHB", 48_000, 0, 0)], flags=2)
    pages = [ogg_page([b"\x18\0\0"] * 200, granule=granule if granule is not None else 0)] * (packets // 200)
    return head + ogg_page([b"OpusTags" + bytes(8)]) + b"".join(pages)


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def m4a(samples: int, *, hz: int = 44_100, stated_s: int = 1, edits: int = 1, timed: int | None = None) -> bytes:
    """`samples` packets of AAC of 1,024 samples; headers that say `stated_s`, and edits that each play that."""
    index = {44_100: 4, 8_000: 11}[hz]
    config = bytes((2 << 3 | index >> 1, (index & 1) << 7 | 1 << 3))
    decoder = b"\x04\x11\x40\x15" + bytes(11) + b"\x05\x02" + config
    esds = box(b"esds", bytes(4) + b"\x03" + bytes((len(decoder) + 3,)) + b"\0\x01\0" + decoder)
    entry = box(b"mp4a", bytes(6) + b"\0\x01" + bytes(8) + struct.pack(">HHIHH", 1, 16, 0, hz, 0) + esds)
    tables = (
        box(b"stsd", struct.pack(">II", 0, 1) + entry)
        + box(b"stts", struct.pack(">IIII", 0, 1, samples if timed is None else timed, 1_024))
        + box(b"stsz", struct.pack(">III", 0, 4, samples))
    )
    sound = box(b"hdlr", bytes(8) + b"soun" + bytes(13))
    media = box(b"mdhd", struct.pack(">IIIIII", 0, 0, 0, hz, stated_s * hz, 0)) + sound
    edit = box(b"elst", struct.pack(">II", 0, edits) + struct.pack(">IIHH", stated_s * 1_000, 0, 1, 0) * edits)
    track = box(b"mdia", media + box(b"minf", box(b"stbl", tables))) + box(b"edts", edit)
    movie = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1_000, stated_s * 1_000) + bytes(80)) + box(b"trak", track)
    return box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", movie) + box(b"mdat", bytes(16))


def element(name: int, body: bytes, *, unknown: bool = False) -> bytes:
    size = b"\x01" + b"\xff" * 7 if unknown else (1 << 56 | len(body)).to_bytes(8)
    return name.to_bytes((name.bit_length() + 7) // 8) + size + body


def webm(blocks: int, *, stated_ms: float = 20.0, codec: bytes = b"A_OPUS", kind: int = 2, live: bool = False) -> bytes:
    """Blocks of 60 ms of Opus."""
    track = element(0xAE, element(0xD7, b"\x01") + element(0x83, bytes((kind,))) + element(0x86, codec))
    info = element(
        0x1549A966, element(0x2AD7B1, (1_000_000).to_bytes(4)) + element(0x4489, struct.pack(">d", stated_ms))
    )
    block = element(0xA3, b"\x81\0\0\0" + b"\x18\0\0")
    cluster = element(0x1F43B675, element(0xE7, b"\0") + block * blocks, unknown=live)
    return element(0x1A45DFA3, b"") + element(0x18538067, info + element(0x1654AE6B, track) + cluster, unknown=live)


def pdf_object(number: int, text: bytes, data: bytes | None = None) -> bytes:
    stream = b"" if data is None else b"\nstream\n" + data + b"\nendstream"
    return b"%d 0 obj\n%s%s\nendobj\n" % (number, text, stream)


def pdf_of(*objects: bytes, trailer: bytes = b"/Root 1 0 R") -> bytes:
    return b"%PDF-1.4\n" + b"".join(objects) + b"trailer\n<<" + trailer + b">>\n%%EOF\n"


CATALOG = pdf_object(1, b"<</Type/Catalog/Pages 2 0 R>>")


def pages_node(number: int, kids: list[int], count: int | None = None) -> bytes:
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    stated = len(kids) if count is None else count
    return pdf_object(number, b"<</Type/Pages/Count %d/Kids[%s]>>" % (stated, listed))


def pdf(pages: int, shown: bytes = b"", *, count: int | None = None, packed: bool = True) -> bytes:
    """One page object that stands in the tree `pages` times, and shows `shown`."""
    data = zlib.compress(shown) if packed else shown
    filtered = b"/Filter/FlateDecode" if packed else b""
    return pdf_of(
        CATALOG,
        pages_node(2, [3] * pages, count),
        pdf_object(3, b"<</Type/Page/Parent 2 0 R/Contents 4 0 R>>"),
        pdf_object(4, b"<<%s/Length %d>>" % (filtered, len(data)), data),
    )


def object_stream(number: int, objects: dict[int, bytes], *, extra: bytes = b"") -> bytes:
    heads, bodies = b"", b""
    for inner, text in objects.items():
        heads += b"%d %d " % (inner, len(bodies))
        bodies += text + b" "
    data = zlib.compress(heads + bodies)
    text = b"<</Type/ObjStm/N %d/First %d/Filter/FlateDecode/Length %d%s>>" % (
        len(objects),
        len(heads),
        len(data),
        extra,
    )
    return pdf_object(number, text, data)
