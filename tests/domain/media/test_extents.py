"""What is counted in a file is never less than a reader could find in it, whatever the file says of itself."""

import sys
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from scalix.domain.media.extent import CantTell, Extent, Work
from scalix.domain.media.measure import decoded, extent_of
from tests.domain.media import files
from tests.domain.media.files import CATALOG, jpeg, jpeg_frame, jpeg_segment, pages_node, pdf_object, pdf_of

PAGE = pdf_object(3, b"<</Type/Page/Contents 4 0 R>>")


def extent(data: bytes, *labels: str, work: Work | None = None) -> Extent:
    return extent_of(data, labels, work or Work())


def cant_tell(data: bytes, *labels: str) -> bool:
    try:
        extent(data, *labels)
    except CantTell:
        return True
    return False


@pytest.mark.parametrize(
    ("data", "pictures", "pixels"),
    [
        (files.png(640, 480), 1, (640, 480)),
        (files.png(10, 20, frames=7), 8, (10, 20)),  # the first may stand apart from the animation
        (jpeg(jpeg_frame(300, 200)), 1, (300, 200)),
        (jpeg(jpeg_segment(0xE1, b"Exif\0\0" + jpeg(jpeg_frame(160, 120))), jpeg_frame(300, 200, 0xC2)), 1, (300, 200)),
        (jpeg(jpeg_frame(8, 8), jpeg_frame(4_000, 3_000)), 1, (4_000, 3_000)),
        (files.gif(32, 16), 1, (32, 16)),
        (files.gif(32, 16, frames=50), 50, (32, 16)),
        (files.gif(1, 1, frame=(900, 800)), 1, (900, 800)),
        (files.webp((b"VP8L", b"\x2f" + (99 | 49 << 14).to_bytes(4, "little"))), 1, (100, 50)),
        (files.webp((b"VP8 ", b"\0\0\0\x9d\x01\x2a\x64\0\x32\0")), 1, (100, 50)),
        (files.webp(files.webp_canvas(100, 50), *[(b"ANMF", bytes(24))] * 9), 9, (100, 50)),
    ],
    ids=lambda value: repr(value)[2:20],
)  # fmt: skip
def test_pictures_count_by_frame_and_by_their_largest_size(data: bytes, pictures: int, pixels: tuple[int, int]) -> None:
    assert extent(data).pictures == pictures
    assert extent(data).pixels == pixels


@pytest.mark.parametrize(
    ("kind", "subtype", "hz"),
    [
        ("WAV", "PCM_16", 44_100),
        ("WAV", "ULAW", 8_000),
        ("WAVEX", "PCM_24", 48_000),
        ("FLAC", "PCM_16", 16_000),
        ("OGG", "VORBIS", 44_100),
        ("OGG", "OPUS", 48_000),
        ("MP3", "MPEG_LAYER_III", 8_000),
        ("MP3", "MPEG_LAYER_III", 44_100),
    ],
)
def test_sound_by_a_real_writer_has_its_seconds(kind: str, subtype: str, hz: int) -> None:
    file = BytesIO()
    soundfile.write(file, [0.0, 0.5, -0.5, 0.25] * (hz * 3 // 4), hz, format=kind, subtype=subtype)
    assert 3.0 <= extent(file.getvalue()).seconds <= 3.5


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (files.wav(60).replace((1_920_000).to_bytes(4, "little"), (32_000).to_bytes(4, "little")), 60.0),
        (files.mp3(60), 60.0),
        (b"ID3\x04\0\0\0\0\x02\0" + bytes(256) + files.mp3(60), 60.0),
        (files.mp3(10) + b"junk" + files.mp3(10), 20.0),
        (files.flac(100), 409.6),
        (files.flac(100, stated_samples=1), 409.6),
        (files.opus(1_000), 60.0),
        (files.opus(1_000, granule=3_600 * 48_000), 3_600.0),
        (files.opus(1_000) + files.opus(1_000), 120.0),
        (files.ogg_page([b"OpusHead"], flags=2) + files.ogg_page([files.opus(400)[:250]]) + files.opus(400), 24.0),
        (files.m4a(2_584), 60.0),
        (files.m4a(2_584, stated_s=0, edits=0, timed=0), 60.0),
        (files.m4a(1, timed=2_584), 60.0),
        (files.m4a(1, stated_s=600), 600.0),
        (files.m4a(1, stated_s=6, edits=100), 600.0),
        (files.webm(1_000), 60.0),
        (files.webm(1_000, live=True), 60.0),
        (files.webm(1, stated_ms=60_000.0), 60.0),
        (files.webm(500) + files.webm(500), 60.0),
    ],
    ids=lambda value: repr(value)[2:14],
)  # fmt: skip
def test_seconds_are_those_that_are_there_whatever_the_header_says(data: bytes, seconds: float) -> None:
    assert seconds - 0.05 <= extent(data).seconds


@pytest.mark.parametrize("data", [files.mp3(60), files.flac(100), files.opus(1_000), files.m4a(2_584), files.webm(999)])
def test_a_plain_file_is_not_overrated(data: bytes) -> None:
    truth = 409.6 if data.startswith(b"fLaC") else 60.0
    assert extent(data).seconds <= 1.02 * truth


def deep_tree(levels: int) -> bytes:
    nodes = [pages_node(number, [number + 1] * 2, 1) for number in range(2, levels + 2)]
    return pdf_of(CATALOG, *nodes, pdf_object(levels + 2, b"<</Type/Page>>"))


FORM = pdf_object(5, b"<</Type/XObject/Subtype/Form/Length 20>>", b"BT (" + b"x" * 90 + b") Tj ET")


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (files.pdf(1), 1),
        (files.pdf(100), 100),
        (files.pdf(100, count=1), 100),
        (files.pdf(1, count=500), 500),
        (deep_tree(20), 2**20),
        (deep_tree(200), 10**12),
        (pdf_of(CATALOG, pdf_object(2, b"<</Type/Pages/Kids 9 0 R>>"), pdf_object(9, b"[3 0 R 3 0 R]"), PAGE), 2),
        (pdf_of(CATALOG, pdf_object(2, b"<</Type/Pages/K#69ds[3 0 R 3 0 R]>>"), PAGE), 2),
        (pdf_of(CATALOG, pdf_object(2, b"<</Type/Pages/Kids[3 0 R3 0 R\n4 0 R]>>"), PAGE), 3),
        (files.pdf(1) + pages_node(2, [3] * 50), 50),
        (pages_node(2, [3] * 50) + files.pdf(1), 50),
        (pdf_of(files.object_stream(9, {1: b"<</Pages 2 0 R>>", 2: b"<</Kids[3 0 R 3 0 R 3 0 R]>>"}), PAGE), 3),
        (pdf_of(files.object_stream(9, {1: b"<</Pages 2 0 R>>"}), pages_node(2, [3] * 4)), 4),
        (pdf_of(CATALOG, pages_node(2, [3]), *[pdf_object(number, b"<</Type/Page>>") for number in range(3, 80)]), 77),
    ],
    ids=lambda value: repr(value)[-30:],
)  # fmt: skip
def test_pages_are_those_of_the_tree_the_counts_or_the_objects(data: bytes, pages: int) -> None:
    assert data.startswith(b"%PDF") or data.find(b"%PDF") < 1_000
    assert extent(data).pages == pages


@pytest.mark.parametrize(
    ("data", "letters"),
    [
        (files.pdf(1, b"BT (%s) Tj ET" % (b"x" * 900)), 900),
        (files.pdf(1, b"BT (%s) Tj ET" % (b"x" * 900), packed=False), 900),
        (files.pdf(100, b"BT (%s) Tj ET" % (b"x" * 900)), 90_000),
        (files.pdf(1, b"BT <%s> Tj ET" % (b"41" * 900)), 900),
        (files.pdf(1, b"BT (a(%s)) Tj ET" % (b"x" * 900)), 900),
        (files.pdf(1, b"BT (\\)%s) Tj ET" % (b"x" * 900)), 900),
        (files.pdf(1, b"BT \\(%s) Tj ET" % (b"x" * 900)), 900),
        (files.pdf(1, b"%%(\nBT (\n%s) Tj ET" % (b"x" * 900)), 900),
        (files.pdf(1, b"BI ( ID ) EI BT (a) Tj %%) \n(%s) Tj ET" % (b"x" * 900)), 900),
        (files.pdf(2, b"/F Do " * 10).replace(b"trailer", FORM + b"trailer"), 1_800),
        (files.pdf(2).replace(b"4 0 R>>", b"4 0 R/Annots[8 0 R 9 0 R]>>").replace(b"trailer", FORM + b"trailer"), 360),
        (files.pdf(1, b"(x)").replace(b"4 0 R>>", b"[4 0 R 4 0 R]>>"), 2),
        (files.pdf(3).replace(b"trailer", pdf_object(4, b"<<>>", b"").replace(b"<<>>", b"<</Length 906>>").replace(
            b"\n\nendstream", b"\n(" + b"x" * 900 + b") Tj\nendstream") + b"trailer"), 2_700),
    ],
    ids=lambda value: repr(value)[-30:],
)  # fmt: skip
def test_the_text_of_a_pdf_is_bounded_by_what_its_pages_show(data: bytes, letters: int) -> None:
    assert extent(data).text_tokens >= letters


def with_map(text: bytes) -> bytes:
    font = pdf_object(6, b"<</Type/Font/ToUnicode 7 0 R>>") + pdf_object(7, b"<</Length %d>>" % len(text), text)
    return files.pdf(1, b"BT (%s) Tj ET" % (b"x" * 100)).replace(b"trailer", font + b"trailer")


def test_a_code_that_stands_for_a_long_text_counts_as_that() -> None:
    assert extent(with_map(b"1 beginbfchar <78> <%s> endbfchar" % (b"0041" * 200))).text_tokens >= 100 * 200
    assert extent(with_map(b"1 beginbfchar <78> <0F40> endbfchar")).text_tokens >= 100 * 3
    encoded = files.pdf(1, b"BT (%s) Tj ET" % (b"x" * 100)).replace(
        b"trailer", pdf_object(6, b"<</Differences[120 /%s]>>" % b"_".join([b"a"] * 50)) + b"trailer"
    )
    assert extent(encoded).text_tokens >= 100 * 50


def test_a_text_that_is_compressed_a_thousand_times_counts_in_full() -> None:
    data = files.pdf(1, b"(" + b"x" * 3_000_000 + b")")
    assert len(data) < 5_000
    assert extent(data).text_tokens >= 3_000_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        files.png(0, 5),
        jpeg(jpeg_frame(10, 0)),
        b"\xff\xd8\xff\xe0",
        files.gif(5, 5, frames=0),
        files.webp((b"VP8X", b"")),
        b"II*\0" + bytes(100),
        files.wav(1).replace(b"\x01\0\x01\0", b"\x11\0\x01\0"),  # ADPCM
        files.wav(1, hz=4_000_000),
        b"\xff\xfb\0\0" + bytes(500),  # a free bit rate
        files.flac(1, hz=0),
        files.flac(2) + files.flac(2, hz=1),
        files.ogg_page([b"Speex   "], flags=2),
        files.m4a(9).replace(b"soun", b"vide"),
        files.m4a(9) + files.box(b"moof", b""),
        files.m4a(9).replace(b"mp4a", b"ac-3"),
        files.webm(9, kind=1),
        files.webm(9, codec=b"A_AAC"),
        files.pdf(1).replace(b"/Root", b"/Encrypt 9 0 R/Root"),
        files.pdf(1).replace(b"/FlateDecode", b"/LZWDecode"),
        files.pdf(1).replace(b"/FlateDecode", b"[/ASCII85Decode/FlateDecode]"),
        files.pdf(1, b"(" + b"x" * 9_000_000 + b")"),
        pdf_of(CATALOG, pages_node(2, [2]), PAGE),
        pdf_of(CATALOG, pdf_object(2, b"<</Kids[<</Type/Page>>]>>")),
        pdf_of(CATALOG, pdf_object(2, b"<</Kids[3 0 R %c\n 3 0 R]>>"), PAGE),
        pdf_of(CATALOG, pdf_object(2, b"<</X(endobj)/Kids[3 0 R 3 0 R]>>"), PAGE),
        pdf_of(CATALOG, pdf_object(2, b"<</X 1 % >>stream\n/Kids[3 0 R 3 0 R]>>"), PAGE),
        pdf_of(CATALOG.replace(b"1 0 obj", b"1 0 %x\nobj"), PAGE),
        b"%PDF-1.4\nno objects",
        b"GIF89a%PDF-1.4" + files.pdf(3),
        b"\xd0\xcf\x11\xe0" + bytes(100),
        b"text with %PDF-1.4 in it" + b" " * 2_000 + b"%PDF-",
    ],
    ids=lambda value: repr(value)[2:40],
)  # fmt: skip
def test_what_can_not_be_told_is_not_guessed(data: bytes) -> None:
    assert cant_tell(data)


@pytest.mark.parametrize(
    ("data", "label", "is_told"),
    [
        (files.png(1, 1), "image/jpeg", True),
        (files.png(1, 1), "application/pdf", False),
        (files.pdf(1), "application/pdf", True),
        (files.pdf(1), "image/png", False),
        (files.pdf(1), "text/plain", False),
        (files.wav(1), "wav", True),
        (files.wav(1), "audio/mp3", False),  # a reader of MP3 may find frames among the samples
        (files.mp3(1), "audio/mpeg", True),
        (files.webm(1), "video/webm", True),
        (b"plain", "text/plain", True),
        (b"plain", "application/msword", False),
        (b"plain", "audio/wav", False),
        (b"plain", "", True),
        (files.png(1, 1), "application/octet-stream", True),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_a_file_must_be_what_it_is_said_to_be(data: bytes, label: str, is_told: bool) -> None:
    assert cant_tell(data, label) is not is_told


@pytest.mark.parametrize(
    ("text", "stated", "data"),
    [
        ("data:image/png;base64,QUJDRA==", "image/png", b"ABCD"),
        ("DATA:Image/PNG;name=x;BASE64,QUJDRA==", "image/png", b"ABCD"),
        ("QUJDRA==", "", b"ABCD"),
        ("QUJDRA", "", b"ABCD"),
        ("QU JD\r\nRA=\t=", "", b"ABCD"),
        ("-_-_", "", b"\xfb\xff\xbf"),
        ("data:;base64,QUJD", "", b"ABC"),
    ],
)
def test_base64_is_read_in_each_of_its_spellings(text: str, stated: str, data: bytes) -> None:
    assert decoded(text) == (stated, data)


@pytest.mark.parametrize(
    "text", ["data:text/plain,abc", "data:image/png;base64", "QUJD=QUJD", "QUJD!", "QUJDé", "A", "x;base64,QUJD", "%2B"]
)
def test_base64_that_decoders_read_differently_is_not_read(text: str) -> None:
    with pytest.raises(CantTell):
        decoded(text)


SAMPLES: list[bytes] = [
    files.png(20, 20, frames=2),
    jpeg(jpeg_segment(0xE0, b"JFIF\0" + bytes(9)), jpeg_frame(30, 20)),
    files.gif(9, 9, frames=3),
    files.webp(files.webp_canvas(9, 9), (b"ANMF", bytes(24))),
    files.wav(0.01),
    files.mp3(0.2),
    files.flac(3),
    files.opus(200),
    files.m4a(4, edits=2),
    files.webm(5, live=True),
    files.pdf(3, b"BT (text) Tj /F Do ET"),
    pdf_of(files.object_stream(9, {1: b"<</Pages 2 0 R>>", 2: b"<</Kids[3 0 R]>>"}), PAGE),
]


@settings(max_examples=400, deadline=None)
@given(
    sample=st.sampled_from(SAMPLES),
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4), st.integers(0, 6)), max_size=6),
)
def test_a_spoilt_file_is_measured_or_not_and_never_raises(
    sample: bytes, changes: list[tuple[int, bytes, int]]
) -> None:
    data = bytearray(sample)
    for at, new, cut in changes:
        data[at : at + cut] = new
    work = Work()
    try:
        found = extent(bytes(data), work=work)
    except CantTell:
        return
    assert found.pictures or found.seconds or found.pages or found.text_tokens
    assert work.steps > Work().steps - 2_000


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([sample[:12] for sample in SAMPLES]), st.binary(max_size=300))
def test_random_bytes_after_a_right_beginning_never_raise(magic: bytes, rest: bytes) -> None:
    cant_tell(magic + rest)


LENGTHS: list[tuple[Callable[[int], bytes], slice]] = [
    (lambda n: files.wav(n / 10), slice(40, 44)),
    (lambda n: files.flac(n), slice(21, 26)),
    (lambda n: files.opus(200 * n, granule=77), slice(0, 0)),
    (lambda n: files.m4a(n), slice(0, 0)),
    (lambda n: files.webm(n), slice(0, 0)),
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LENGTHS), st.integers(1, 40), st.binary(min_size=5, max_size=5))
def test_a_header_that_lies_takes_nothing_off(
    made: tuple[Callable[[int], bytes], slice], size: int, lie: bytes
) -> None:
    make, where = made
    data = bytearray(make(size))
    truth = extent(bytes(data)).seconds
    if where.stop:
        data[where] = lie[: where.stop - where.start]
    with suppress(CantTell):
        assert extent(bytes(data)).seconds >= 0.99 * truth


HOSTILE: list[tuple[str, Callable[[int], bytes]]] = [
    ("objects", lambda n: b"%PDF-1.4\n" + b"1 0 obj<</Pages 1 0 R>>endobj " * (n // 30)),
    ("object marks", lambda n: b"%PDF-1.4\n" + b"1 0 obj " * (n // 8)),
    ("open strings", lambda n: b"%PDF-1.4\n1 0 obj" + b"(" * n + b"endobj"),
    ("kids", lambda n: pdf_of(CATALOG, pages_node(2, [3] * (n // 6)))),
    ("many roots", lambda n: pdf_of(pages_node(2, [3] * (n // 60)), *[CATALOG] * (n // 60))),
    ("names", lambda n: pdf_of(pdf_object(1, b"/Kids " * (n // 6)))),
    ("escapes", lambda n: pdf_of(pdf_object(1, b"#41" * (n // 3)))),
    ("digits", lambda n: b"%PDF-1.4\n" + b"1" * n + b" 0 obj"),
    ("strings", lambda n: files.pdf(1, b"()" * (n // 2))),
    ("streams", lambda n: b"%PDF-1.4\n" + b"1 0 obj<</Type/ObjStm/N 1/First 1/Filter/Fl >>stream\n" * (n // 50)),
    ("inflated", lambda n: files.pdf(1, b"x" * 4 * n)),
    ("ogg", lambda n: b"OggS" * (n // 4)),
    ("flac", lambda n: files.flac(1) + b"\xff\xf8\x70\x08" * (n // 4)),
    ("mp3", lambda n: (b"\xff\xf3\x18\0" + bytes(20)) * (n // 24)),
    ("gif", lambda n: files.gif(1, 1)[:-1] + b"\x21\xf9" + b"\x01\x01" * (n // 2)),
    ("jpeg", lambda n: b"\xff\xd8" + b"\xff\xe0\0\2" * (n // 4)),
    ("png", lambda n: files.png(1, 1)[:33] + bytes(n)),
    ("m4a", lambda n: files.m4a(1) + b"stsz" * (n // 4)),
    ("webm", lambda n: files.webm(1)[:8] + b"\xec\x80" * (n // 2)),
    ("wav", lambda n: b"RIFF\0\0\0\0WAVE" + b"LIST\0\0\0\0" * (n // 8)),
]  # fmt: skip


@pytest.mark.parametrize("make", [make for _, make in HOSTILE], ids=[name for name, _ in HOSTILE])
def test_the_work_for_a_hostile_file_is_bounded(make: Callable[[int], bytes]) -> None:
    """Calls, of Python and into C, as the interpreter counts them; a step of `Work` is a few."""
    data = make(3_000_000)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        with suppress(CantTell):
            extent(data)
    finally:
        sys.setprofile(None)
    assert calls < 1_000_000
