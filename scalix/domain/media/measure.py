"""Measures one medium: finds its format by its first bytes, and calls the reader of that format."""

import binascii
from collections.abc import Callable, Collection
from typing import Final

from scalix.domain.media.extent import CantTell, Extent, Work, cant_tell_if
from scalix.domain.media.images import PNG_MAGIC, gif, jpeg, png, webp
from scalix.domain.media.mp4 import mp4
from scalix.domain.media.ogg import ogg
from scalix.domain.media.pdf import pdf
from scalix.domain.media.sound import flac, mp3, wav
from scalix.domain.media.webm import webm

_Reader = Callable[[bytes, Work], Extent]
_LONGEST_HEADER: Final = 256
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_BLANKS: Final = b" \t\n\r\f\v"
_PDF_MAGIC: Final = b"%PDF-"
_PDF_HEAD: Final = 1_100  # readers search the first kilobyte for it
_IMAGE, _SOUND, _PDF, _TEXT, _ANY = "image", "sound", "pdf", "text", ""
# Formats that need no mark at the start: a file that is labelled as one of them may be read so, whatever it looks like.
_MP3_LABELS: Final = frozenset({"mp3", "mpeg", "mpga", "x-mp3", "mpeg3", "x-mpeg", "aac", "aacp", "x-aac"})
_SOUND_LABELS: Final = frozenset({"wav", "mp3", "flac", "ogg", "opus", "m4a", "webm", "aac", "pcm16"}) | _MP3_LABELS
_TEXT_TYPES: Final = frozenset(
    {
        *("application/json", "application/xml", "application/javascript", "application/x-javascript"),
        *("application/x-yaml", "application/yaml", "application/x-python", "application/x-sh", "application/sql"),
    }
)

_IN_RIFF: Final = (b"WEBP", b"WAVE")
# The marks of formats, and where they are. The first match counts.
_MAGIC: Final[tuple[tuple[int, bytes, str, _Reader], ...]] = (
    *((0, PNG_MAGIC, _IMAGE, png), (0, b"\xff\xd8\xff", _IMAGE, jpeg)),
    *((0, b"GIF87a", _IMAGE, gif), (0, b"GIF89a", _IMAGE, gif)),
    *((8, b"WEBP", _IMAGE, webp), (8, b"WAVE", _SOUND, wav)),
    *((0, b"fLaC", _SOUND, flac), (0, b"OggS", _SOUND, ogg), (4, b"ftyp", _SOUND, mp4)),
    *((0, b"\x1a\x45\xdf\xa3", _SOUND, webm), (0, b"ID3", _SOUND, mp3)),
)


def decoded(text: str) -> tuple[str, bytes]:
    """The media type of a data URL and its bytes; bare base64 has an empty type. Raises `CantTell`.

    It accepts only what every decoder reads alike: one run of the alphabet, or of its URL form, with or without blanks.
    """
    stated = ""
    start = 0
    if text[:5].lower() == "data:":
        start = text.find(",", 0, _LONGEST_HEADER) + 1
        stated, *parameters = text[5 : max(5, start - 1)].lower().split(";")
        cant_tell_if(not start or not parameters or parameters[-1].strip() != "base64")
    try:
        raw = text[start:].encode("ascii")
        try:
            return stated.strip(), binascii.a2b_base64(raw, strict_mode=True)
        except binascii.Error:
            raw = raw.translate(_STANDARD, _BLANKS)
            return stated.strip(), binascii.a2b_base64(raw + b"=" * (-len(raw) % 4), strict_mode=True)
    except ValueError:
        raise CantTell from None


def extent_of(data: bytes, labels: Collection[str], work: Work) -> Extent:
    """Measure `data`, which `labels` describe (`image/png`, `wav`). Raises `CantTell`, also if it turns out to be
    something else."""
    said = {kind for label in labels if (kind := _said(label))}
    kind, read = _seen(data)
    cant_tell_if(said - {kind})
    if read is None:
        return _text(data)
    cant_tell_if(read is not mp3 and any(label.lower().rpartition("/")[2] in _MP3_LABELS for label in labels))
    return read(data, work)


def _said(label: str) -> str:
    """The kind of content that a media type or the name of a format promises."""
    label = label.lower().partition(";")[0].strip()
    group, _, name = label.rpartition("/")
    if group in ("image", "audio", "video"):
        return _IMAGE if group == "image" else _SOUND
    if name == "pdf" or (not group and name in _SOUND_LABELS):
        return _PDF if name == "pdf" else _SOUND
    if group == "text" or label in _TEXT_TYPES:
        return _TEXT
    return _ANY if label in ("", "application/octet-stream") else "other"


def _seen(data: bytes) -> tuple[str, _Reader | None]:
    kind, read = _by_magic(data[:12])
    if data.find(_PDF_MAGIC, 0, _PDF_HEAD) < 0:
        return (kind, read) if kind else (_TEXT, None)
    cant_tell_if(kind)  # some readers see this, some the PDF
    return _PDF, pdf


def _by_magic(head: bytes) -> tuple[str, _Reader | None]:
    for at, magic, kind, read in _MAGIC:
        if head.startswith(magic, at) and (magic not in _IN_RIFF or head.startswith(b"RIFF")):
            return kind, read
    return (_SOUND, mp3) if head[:1] == b"\xff" and head[1:2] >= b"\xe0" else (_ANY, None)


def _text(data: bytes) -> Extent:
    """A text in UTF-8, which has at most as many tokens as bytes."""
    cant_tell_if(not data or b"\0" in data or _PDF_MAGIC in data or data.startswith((b"{\\rtf", b"PK\x03\x04")))
    try:
        data.decode()
    except UnicodeDecodeError:
        raise CantTell from None
    return Extent("text", text_tokens=len(data))
