"""Estimates the tokens of images, sound and files in a prompt, from their bytes and the providers' documentation.

Nothing is fetched. Sources, all of them the providers' own pages: OpenAI, "Images and vision" and "PDF files";
Anthropic, "Vision" and "PDF support"; Gemini, "Understand and count tokens", "Document understanding", "Media
resolution".
"""

import math
from collections.abc import Collection, Mapping
from typing import Any, Final

from scalix.domain.errors import BadRequest
from scalix.domain.json_values import mapped, word
from scalix.domain.media.extent import CantTell, Extent, Work
from scalix.domain.media.measure import decoded, extent_of

# The dearest documented image except those below: 2576 pixels on the long edge on Claude 4.7 and later, in patches of
# 28 pixels. Above OpenAI's 85 + 8 * 170 (tiles) and 1,536 * 2.46 (patches of 32 pixels), and Gemini's 16 tiles of 258.
IMAGE_TOKENS: Final = 4_784
# What the smallest image may cost, since some models scale it up or charge every image the same: OpenAI's 85 + 8 * 170;
# Gemini's `media_resolution_ultra_high`; on Claude a patch.
SMALLEST_IMAGE_TOKENS: Final = {"openai": 1_445, "gemini": 2_240, "anthropic": 16}
# `detail: original` is up to 10,000 patches (OpenAI); `low` is 85, or 256 patches * 2.46.
IMAGE_ORIGINAL_TOKENS: Final = 10_000
IMAGE_LOW_TOKENS: Final = 630
# GPT-4o mini: 2,833 and 5,667 per tile, at most eight.
MINI_IMAGE_TOKENS: Final = 48_169
MINI_IMAGE_LOW_TOKENS: Final = 2_833
# One page of a PDF: on Claude up to 3,000 of text, and an image; on Gemini an image of up to 1,120 and the text that is
# in the file as text, on former ones 258 in all. OpenAI: the text that is in the file, and an image.
PAGE_TEXT_TOKENS: Final = 3_000
PAGE_TOKENS: Final = PAGE_TEXT_TOKENS + IMAGE_TOKENS
GEMINI_PAGE_TOKENS: Final = 1_120
SOUND_TOKENS_PER_S: Final = 32  # Gemini; OpenAI takes 10
# For sound that can't be measured: plain WAV has at least 8,000 bytes a second, a speech codec 768; base64 makes 4
# characters of 3 bytes.
WAV_CHARACTERS_PER_TOKEN: Final = 320
SOUND_CHARACTERS_PER_TOKEN: Final = 32

TYPE_OF_ANSWERS: Final = "image_generation_call"
IMAGE_KINDS: Final = frozenset({"image_url", "input_image", "image", "computer_screenshot", TYPE_OF_ANSWERS})
_SOUND = frozenset({"input_audio", "audio", "audio_url"})
_FILE = frozenset({"file", "input_file", "document"})
MEDIA_KINDS: Final = IMAGE_KINDS | _SOUND | _FILE
_PAYLOADS = ("image_url", "source", "input_audio", "audio", "audio_url", "file")
_DATA_FIELDS = ("url", "data", "file_data", "image_url", "audio_url", "result")
_TYPE_FIELDS = ("media_type", "format", "mime_type", "content_type")
_LABELS = frozenset({"type", "detail", "filename", *_TYPE_FIELDS})
_LABEL_CHARACTERS = 64  # anything longer counts as text
MOST_MEDIA: Final = 4_000  # more than any provider takes in one request


class Media:
    """Measures the media of one request, each of them once. `unmeasured` has the data of those that can't be measured.

    `provider_models` as in `estimate_prompt_tokens`.
    """

    def __init__(self, provider_models: Collection[str] = ()) -> None:
        self.provider_models = provider_models
        self._parts = 0
        self.unmeasured: list[str] = []
        self._work = Work()
        self._measured: dict[int, tuple[str, Extent | None]] = {}  # the text is kept alive, so that its id stays unique

    def begin(self) -> None:
        """Start to walk through the request, maybe once more."""
        self._parts = 0

    def count(self) -> None:
        """Count a part that holds media. Raises `BadRequest` for too many."""
        self._parts += 1
        if self._parts > MOST_MEDIA:
            raise BadRequest(f"A request may hold at most {MOST_MEDIA} images, sounds and files.")

    def extent(self, data: str, labels: Collection[str]) -> Extent | None:
        """Measure a data URL or base64; `None` if it can't be measured. `labels` are its stated types."""
        known = self._measured.get(id(data))
        if known is not None:
            return known[1]
        found = None
        try:
            stated, content = decoded(data)
            found = extent_of(content, {stated, *labels}, self._work)
        except CantTell:
            pass
        self._measured[id(data)] = data, found
        if found is None:
            self.unmeasured.append(data)
        return found


def media_tokens(part: Mapping[str, Any], media: Media) -> tuple[int, list[Any]] | None:
    """The tokens of a content part that is an image, sound or a file, and the rest of it, which counts as text.

    `None` for any other part. Raises `BadRequest` if there are too many.
    """
    kind = word(part.get("type"))
    if kind not in MEDIA_KINDS:
        return None
    media.count()
    if kind == "document" and mapped(part.get("source")).get("type") in ("text", "content"):
        return 0, list(part.values())
    fields: list[tuple[str, Any]] = []
    for key, value in part.items():
        fields.extend(value.items() if key in _PAYLOADS and isinstance(value, dict) else [(key, value)])
    found: list[str] = []
    label: dict[str, str] = {}
    rest: list[Any] = []
    for key, value in fields:
        if not isinstance(value, str):
            rest.append(value)
        elif key in _LABELS and key not in label and len(value) <= _LABEL_CHARACTERS:
            label[key] = value
        elif key in _DATA_FIELDS and value:
            found.append(value)
        else:
            rest.append(value)
    labels = [label[name] for name in _TYPE_FIELDS if name in label]
    if kind in _SOUND:
        labels.append("audio/")
    tokens = 0
    for index, data in enumerate(found or [""]):
        extent = media.extent(data, labels) if data else None
        if extent is None:
            tokens += _unmeasured_tokens(kind, data, label, media)
            rest += [data] if index else []  # a second field may be a text beside the medium
        else:
            tokens += extent_tokens(extent, label.get("detail"), media.provider_models)
    return tokens, rest


def stray_media_tokens(part: Mapping[str, Any], media: Media) -> int:
    """The tokens of data URLs in an object of no known kind. Its text is counted too."""
    tokens = 0
    for value in part.values():
        if isinstance(value, str) and value[:5].lower() == "data:" and ";base64," in value[:128].lower():
            media.count()
            extent = media.extent(value, ())
            tokens += extent_tokens(extent, None, media.provider_models) if extent else 0
    return tokens


def _unmeasured_tokens(kind: str, data: str, label: Mapping[str, str], media: Media) -> int:
    """The tokens of a medium that can't be measured, on tiers that accept it."""
    stated = _media_type(data, label)
    if stated.startswith("audio") or (kind in _SOUND and not stated):
        return _sound_tokens(data, label)
    if stated.startswith("image") or (kind in IMAGE_KINDS and not stated):
        return image_tokens(label.get("detail"), media.provider_models)
    return max(PAGE_TOKENS, len(data))


def extent_tokens(extent: Extent, detail: str | None, provider_models: Collection[str]) -> int:
    """The most that a medium of this extent costs on any of the models."""
    if extent.pictures:
        return extent.pictures * image_tokens(detail, provider_models, extent.pixels)
    if extent.pages:
        if {_family(model) for model in provider_models} == {"gemini"}:
            return extent.pages * GEMINI_PAGE_TOKENS + extent.text_tokens
        return extent.pages * IMAGE_TOKENS + max(extent.pages * PAGE_TEXT_TOKENS, extent.text_tokens)
    return math.ceil(extent.seconds * SOUND_TOKENS_PER_S) + extent.text_tokens + 1


def image_tokens(
    detail: str | None, provider_models: Collection[str] = (), pixels: tuple[int, int] | None = None
) -> int:
    """The most that one image costs on any of the models. `pixels` is its width and height, if known.

    `detail: low` only counts if all models are OpenAI's: others ignore it.
    """
    mini = any("gpt-4o-mini" in model for model in provider_models)
    families = {_family(model) for model in provider_models} or {""}
    if detail == "low" and families == {"openai"}:
        return MINI_IMAGE_LOW_TOKENS if mini else IMAGE_LOW_TOKENS
    if mini:
        return MINI_IMAGE_TOKENS
    if detail == "original":
        return IMAGE_ORIGINAL_TOKENS
    if pixels is None:
        return IMAGE_TOKENS
    width, height = pixels
    by_pixels = max(
        math.ceil(width / 28) * math.ceil(height / 28),
        math.ceil(2.46 * math.ceil(width / 32) * math.ceil(height / 32)),
        math.ceil(width * height / 750),  # Claude before 4.7
    )
    least = max(SMALLEST_IMAGE_TOKENS.get(family, max(SMALLEST_IMAGE_TOKENS.values())) for family in families)
    return min(IMAGE_TOKENS, max(least, by_pixels))


def _family(model: str) -> str:
    """The provider of a model; empty if the name may belong to a server of the operator's own."""
    if model.startswith(("openai/gpt-", "openai/o1", "openai/o3", "openai/o4", "gpt-", "azure/gpt-")):
        return "openai"
    if model.startswith(("gemini/", "vertex_ai/gemini")):
        return "gemini"
    return "anthropic" if model.startswith(("anthropic/", "claude-")) else ""


def _media_type(data: str, label: Mapping[str, str]) -> str:
    """The media type of a data URL, or the one that a label states; else empty."""
    if data[:5].lower() == "data:":
        return data[5:64].partition(";")[0].lower() or "text/plain"
    stated = label.get("media_type") or label.get("format") or ""
    return stated.lower() if "/" in stated else ""


def _sound_tokens(data: str, label: Mapping[str, str]) -> int:
    wav = label.get("format") == "wav" or data.startswith(("data:audio/wav", "data:audio/x-wav"))
    return len(data) // (WAV_CHARACTERS_PER_TOKEN if wav else SOUND_CHARACTERS_PER_TOKEN) + 1
