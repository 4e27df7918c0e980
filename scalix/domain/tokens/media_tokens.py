"""What images, sound and files in a prompt cost, by the providers' documentation. Nothing is downloaded or decoded."""

from collections.abc import Collection, Mapping
from typing import Any, Final

# The dearest documented image but for those below: 2576 pixels on the long edge on Claude 4.7 and later, in patches of
# 28 pixels (platform.claude.com, "Images and vision"). Above OpenAI's 85 + 8 * 170 (tiles) and 1,536 * 2.46 (patches),
# and Gemini's 16 tiles of 258.
IMAGE_TOKENS: Final = 4_784
# `detail: original` is up to 10,000 patches (OpenAI, "Images and vision"); `low` is 85, or 256 patches * 2.46.
IMAGE_ORIGINAL_TOKENS: Final = 10_000
IMAGE_LOW_TOKENS: Final = 630
# GPT-4o mini: 2,833 and 5,667 per tile, at most eight.
MINI_IMAGE_TOKENS: Final = 48_169
MINI_IMAGE_LOW_TOKENS: Final = 2_833
# One page of a PDF on Claude: up to 3,000 of text and an image (platform.claude.com, "PDF support").
PAGE_TOKENS: Final = 3_000 + IMAGE_TOKENS
# Gemini takes 32 tokens a second, OpenAI 10. Plain WAV has at least 8,000 bytes a second, a speech codec 768; base64
# makes 4 characters of 3 bytes.
WAV_CHARACTERS_PER_TOKEN: Final = 320
SOUND_CHARACTERS_PER_TOKEN: Final = 32

_IMAGE = frozenset({"image_url", "input_image", "image"})
_SOUND = frozenset({"input_audio", "audio"})
_FILE = frozenset({"file", "input_file", "document"})
_MEDIA = _IMAGE | _SOUND | _FILE
_PAYLOADS = ("image_url", "source", "input_audio", "audio", "file")
_DATA_FIELDS = ("url", "data", "file_data", "image_url")
_LABELS = frozenset({"type", "detail", "format", "media_type", "filename"})
_LABEL_CHARACTERS = 64  # anything longer is no label: count it


def media_tokens(part: Mapping[str, Any], provider_models: Collection[str]) -> tuple[int, list[Any]] | None:
    """Tokens of a content part that is an image, sound or a file, and what else in it is to be counted as text.

    `None` for any other part. `provider_models` as in `estimate_prompt_tokens`.
    """
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _MEDIA:
        return None
    if kind == "document" and _source_type(part) in ("text", "content"):
        return 0, list(part.values())
    fields: list[tuple[str, Any]] = []
    for key, value in part.items():
        fields.extend(value.items() if key in _PAYLOADS and isinstance(value, dict) else [(key, value)])
    data = ""
    label: dict[str, str] = {}
    rest: list[Any] = []
    for key, value in fields:
        if not isinstance(value, str):
            rest.append(value)
        elif key in _LABELS and key not in label and len(value) <= _LABEL_CHARACTERS:
            label[key] = value
        elif key in _DATA_FIELDS and not data:
            data = value
        else:
            rest.append(value)
    media = _media_type(data, label)
    if media.startswith("audio") or (kind in _SOUND and not media):
        return _sound_tokens(data, label), rest
    if media.startswith("image") or (kind in _IMAGE and not media):
        return image_tokens(label.get("detail"), provider_models), rest
    return max(PAGE_TOKENS, len(data)), rest


def image_tokens(detail: str | None, provider_models: Collection[str] = ()) -> int:
    """The most that one image costs. `low` counts only where every model is one of OpenAI's: others do not heed it."""
    mini = any("gpt-4o-mini" in model for model in provider_models)
    if detail == "low" and provider_models and all(map(_heeds_detail, provider_models)):
        return MINI_IMAGE_LOW_TOKENS if mini else IMAGE_LOW_TOKENS
    if mini:
        return MINI_IMAGE_TOKENS
    return IMAGE_ORIGINAL_TOKENS if detail == "original" else IMAGE_TOKENS


def _heeds_detail(model: str) -> bool:
    return model.startswith(("openai/gpt-", "openai/o1", "openai/o3", "openai/o4", "gpt-", "azure/gpt-"))


def _source_type(part: Mapping[str, Any]) -> str:
    source = part.get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    return kind if isinstance(kind, str) else ""


def _media_type(data: str, label: Mapping[str, str]) -> str:
    """The media type that a data URL or a label states, else the empty string."""
    if data.startswith("data:"):
        return data[5:64].partition(";")[0].lower() or "text/plain"
    stated = label.get("media_type") or label.get("format") or ""
    return stated.lower() if "/" in stated else ""


def _sound_tokens(data: str, label: Mapping[str, str]) -> int:
    wav = label.get("format") == "wav" or data.startswith(("data:audio/wav", "data:audio/x-wav"))
    return len(data) // (WAV_CHARACTERS_PER_TOKEN if wav else SOUND_CHARACTERS_PER_TOKEN) + 1
