"""Reads the usage in a provider's own answer, and mends what LiteLLM would stumble over.

LiteLLM 1.106.12 fails on a usage that is a text, or (Anthropic's format) missing; it fills in a missing one with a
count of its own, which looks like the provider's; and it passes an error inside a 200 on as an answer. So what comes
from a provider is looked at first. Formats: OpenAI's chat completions, completions, embeddings and responses,
Anthropic's messages, Gemini's generateContent.
"""

from collections.abc import Callable
from typing import Any

import re2

from scalix.domain.answers.hidden_failures import BAD_GATEWAY, failure_status
from scalix.domain.answers.provider_messages import mend_messages, with_arguments, with_known_stop_reason
from scalix.domain.answers.refusals import Refusals
from scalix.domain.answers.sound_usage import figures, has_odd_types, sound_usage
from scalix.domain.json_codec import JsonCodec
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.usage import Usage
from scalix.domain.tokens.usage_reading import read_usage

# `"usage":null` is in every chunk of a stream that ends with its usage.
_HAS_USAGE = re2.compile(rb'"usage(?:Metadata)?"\s*:\s*(?:[^\sn]|n[^u])')
_USAGE, _NULL_USAGE = b'"usage', b'"usage":null'
_OK = 200


class ProviderAnswer:
    """What one answer of a provider says of its usage. Feed it the answer; it gives back what LiteLLM should read.

    `usage` is the final one, `None` if there was none that can be true; `prompt_tokens` may be known before it. `hear`
    is told of a whole answer.
    """

    def __init__(self, codec: JsonCodec, hear: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._loads, self._dumps = codec
        self._hear = hear
        self.usage: Usage | None = None
        self.prompt_tokens: int | None = None
        self._opening: dict[str, Any] = {}
        self.nonsense = False  # whether there was a usage that can't be true

    def whole(self, body: bytes, refusals: Refusals | None = None, *, is_translated: bool = False) -> tuple[int, bytes]:
        """An answer that is not streamed, mended, and the HTTP status that it should have. Every format is JSON.
        `refusals` and `is_translated` as for a `ProviderStream`."""
        body = with_arguments(body)
        try:
            answer = self._loads(body)
        except ValueError:
            return BAD_GATEWAY, body
        if not answer or not isinstance(answer, dict | list):
            return BAD_GATEWAY, body
        if (status := failure_status(answer)) is not None:
            return status, body
        if self._hear is not None and isinstance(answer, dict):
            self._hear(answer)
        changed = isinstance(answer, dict) and self._mend(answer, final=True, required=True)
        if isinstance(answer, dict):
            changed = mend_messages(answer, refusals or Refusals(Route.CHAT)) or changed
        mended = self._dumps(answer) if changed else body
        return _OK, with_known_stop_reason(mended) if is_translated else mended

    def event(self, event: bytes) -> bytes:
        """One server-sent event, mended."""
        if event.count(_USAGE) == event.count(_NULL_USAGE) and b"message_start" not in event:
            return event  # without the cost of a pattern
        if not _HAS_USAGE.search(event) and not (b"message_start" in event and _NULL_USAGE in event):
            return event
        lines = event.split(b"\n")
        for position, line in enumerate(lines):
            if line.startswith(b"data:"):
                lines[position] = self._data_line(line)
        return b"\n".join(lines)

    def _data_line(self, line: bytes) -> bytes:
        try:
            event = self._loads(line[5:])
        except ValueError:
            return line
        if not isinstance(event, dict):
            return line
        kind = event.get("type")
        inner = event.get("message") if kind == "message_start" else event.get("response", event)
        if not isinstance(inner, dict):
            return line
        changed = self._mend(inner, final=kind != "message_start", required=kind == "message_start")
        return b"data: " + self._dumps(event) + (b"\r" if line.endswith(b"\r") else b"") if changed else line

    def _mend(self, holder: dict[str, Any], *, final: bool, required: bool) -> bool:
        """Note the usage in `holder`; whether it had to be changed."""
        name = "usageMetadata" if "usageMetadata" in holder else "usage"
        given = holder.get(name)
        sound = sound_usage(given)
        if sound is None:
            self.nonsense = self.nonsense or given is not None
            # Anthropic's format always has one, and LiteLLM counts on that.
            anthropic = holder.get("type") in ("message", "message_delta")
            if given is None and not (required and anthropic):
                return False
            if anthropic:
                holder[name] = {"input_tokens": 0, "output_tokens": 0}
            elif holder.get("object") == "response":
                holder[name] = None
            else:
                holder.pop(name)
            return True
        self._note(sound, holder.get("service_tier"), final=final)
        if sound == given and not has_odd_types(given):
            return False
        holder[name] = sound
        return True

    def _note(self, usage: dict[str, Any], service_tier: object, *, final: bool) -> None:
        prompt, completion = figures(usage)
        if prompt:
            self.prompt_tokens = prompt
        if not final:
            self._opening = usage
            return
        # Anthropic's streams tell of the prompt and its cached parts when they begin, and need not do so again.
        stated = {**self._opening, **usage}
        if isinstance(service_tier, str) and service_tier:
            stated["service_tier"] = service_tier
        believed = read_usage(stated, prompt_tokens=self.prompt_tokens)
        if believed is not None:
            # Usage is told as of all so far; what is told later and is less leaves something out.
            if self.usage is None or believed.total_tokens >= self.usage.total_tokens:
                self.usage = believed
        elif completion or not prompt:
            self.nonsense = True
