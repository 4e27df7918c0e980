"""Recognises most of a chat stream without parsing it: events that differ from a known one in nothing but their text.

An event that was read the long way, and had nothing in it to note or to mend, becomes a template: the bytes before and
after its text. Whatever else has these bytes, and a sound text between them, says no more than that text. OpenAI pads
events to hide their length, so a template may leave room for padding too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from scalix.domain.answers.event_kinds import is_over
from scalix.domain.byte_patterns import byte_pattern
from scalix.domain.json_codec import JsonCodec

PROBE = b"\x7ftext"  # stands for a text where a template is made
END = b"\n\n"
RUN = "scalix.response.run"
"""The type of an engine's message that brings a run, beside those of ASGI."""
# Neither stands in a JSON string as it is, so they stand for what is between two texts.
_NEXT, _PAD = b"\n", b"\t"
# The content of a JSON string that a JSON library writes as it read it.
_STRING = rb'(?:[^"\\\x00-\x1f]|\\["\\bfnrt])*'
_STRINGS = byte_pattern(_STRING + rb"(?:\n" + _STRING + rb")*")
_PADDED = byte_pattern(_STRING + rb"\t" + _STRING + rb"(?:\n" + _STRING + rb"\t" + _STRING + rb")*")
_TEXTS = ("content", "reasoning_content")
_PADDINGS = ("obfuscation", "p")
_FIRST_EVENTS = 4  # looked at before there is a template
# So many templates in a row that fit nothing: this provider's events differ in more than their text.
_MOST_IN_VAIN = 16


class Template(NamedTuple):
    """The bytes around the text of an event. With padding, `middle` is between the text and that."""

    before: bytes
    middle: bytes
    after: bytes

    @property
    def probe(self) -> bytes:
        """An event of this template."""
        padding = self.middle + PROBE if self.middle else b""
        return self.before + PROBE + padding + self.after + END

    def after_change(self, change: Callable[[bytes], bytes]) -> "Template | None":
        """The template of what `change` makes of events of this one; `None` if that is not one event with the same
        texts. `change` must do with all of them what it does with one."""
        parts = change(self.probe).removesuffix(END).split(PROBE)
        if END in PROBE.join(parts) or len(parts) != (3 if self.middle else 2):
            return None
        return Template(parts[0], parts[1] if self.middle else b"", parts[-1])


class Changed:
    """What becomes of a stream's templates by `change`. A stream has one at a time, so the last is remembered."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change
        self._last: tuple[Template, Template | None] | None = None

    def of(self, template: Template) -> Template | None:
        """The template of what becomes of events of `template`, one of which has been changed before."""
        if self._last is None or self._last[0] is not template:
            self._last = template, template.after_change(self._change)
        return self._last[1]


@dataclass(frozen=True, slots=True)
class Run:
    """`count` events in a row of one template. `texts` are what differs, as JSON has it."""

    template: Template
    texts: bytes
    count: int

    def written(self, template: Template) -> bytes:
        """The events, by another template."""
        texts = self.texts.replace(_PAD, template.middle) if template.middle else self.texts
        between = template.after + END + template.before
        return b"".join((template.before, texts.replace(_NEXT, between), template.after, END))

    @property
    def text(self) -> bytes:
        """All that is said, as the content of one JSON string."""
        if not self.template.middle:
            return self.texts.replace(_NEXT, b"")
        return b"".join([one.partition(_PAD)[0] for one in self.texts.split(_NEXT)])

    @property
    def size_bytes(self) -> int:
        """The size of the events, without the ends of them."""
        return len(self.texts) + self.count * sum(map(len, self.template))

    def events(self) -> list[bytes]:
        """The events as they came."""
        return [event + END for event in self.written(self.template).split(END)[:-1]]


Group = list[bytes] | Run
"""Events that came together."""


class PlainDeltas:
    """Finds the runs in one stream of OpenAI's chat format, or that of completions, with one choice."""

    def __init__(self, codec: JsonCodec) -> None:
        self._loads, self._dumps = codec
        self._template: Template | None = None
        self._in_vain = 0

    def groups(self, events: list[bytes]) -> Iterator[Group]:
        """The events that came together, runs and others in turn. `learn` of the others before asking for more."""
        while events:
            run = self._run(events)
            count = run.count if run is not None else self._others(events)
            yield run if run is not None else events[:count]
            events = events[count:]

    def whole(self, piece: bytes) -> Run | None:
        """The run that `piece` is; `None` where anything else is in it, or half an event."""
        template = self._template
        if template is None or not piece.startswith(template.before) or not piece.endswith(END):
            return None
        end = template.after + END
        text = piece[len(template.before) : -len(end)]
        if piece.endswith(end) and not template.middle and self._in_vain < _MOST_IN_VAIN and _is_bare(text):
            self._in_vain = 0
            return Run(template, text, 1)  # as almost always
        *events, rest = piece.split(END)
        run = self._run([event + END for event in events])
        return run if run is not None and run.count == len(events) and not rest else None

    def learn(self, event: bytes) -> None:
        """Take for a template an event that had nothing to note in it, and needed no repair."""
        if self._in_vain >= _MOST_IN_VAIN:
            return
        self._in_vain += 1
        template = _template_of(event, self._loads, self._dumps)
        if template is not None:
            self._template = template

    def _others(self, events: list[bytes]) -> int:
        """How many of the first events are to be read the long way."""
        if self._in_vain >= _MOST_IN_VAIN:
            return len(events)
        if self._template is None:
            return min(_FIRST_EVENTS, len(events))
        before = self._template.before
        return next((at for at in range(1, len(events)) if events[at].startswith(before)), len(events))

    def _run(self, events: list[bytes]) -> Run | None:
        """The run at the beginning of `events`, if there is one."""
        template = self._template
        if template is None or self._in_vain >= _MOST_IN_VAIN or not events[0].startswith(template.before):
            return None
        start, end = len(template.before), template.after + END
        shortest = start + len(end)
        found: list[bytes] = []
        for event in events:
            if not event.startswith(template.before) or not event.endswith(end) or len(event) < shortest:
                break
            found.append(event[start : -len(end)])
        texts, pattern = _NEXT.join(found), _STRINGS
        if template.middle:
            texts, pattern = texts.replace(template.middle, _PAD), _PADDED
        if pattern.fullmatch(texts) is None:  # which almost all are
            match = pattern.match(texts)
            texts = texts[: max(texts.rfind(_NEXT, 0, match.end()), 0)] if match is not None else b""
        if not texts or not _is_unicode(texts):
            return None
        self._in_vain = 0
        return Run(template, texts, texts.count(_NEXT) + 1)


def _template_of(event: bytes, loads: Any, dumps: Any) -> Template | None:
    line = event.removesuffix(END)
    if not line.startswith(b"data:") or b"\n" in line or b"\r" in line or is_over(event, False):
        return None
    try:
        parsed = loads(line[5:])
    except ValueError:
        return None
    text = _only_text(parsed)
    if text is None:
        return None
    before, after = _around(line, dumps(text))
    middle = b""
    padding = next((parsed[name] for name in _PADDINGS if isinstance(parsed.get(name), str)), None)
    if padding is not None:
        middle, after = _around(after, dumps(padding))
    template = Template(before, middle, after)
    if not before or not after or (padding is not None and not middle):
        return None
    # The same characters may stand elsewhere, and the text be written in another way.
    said = PROBE.decode()
    probed = loads(template.probe.strip()[5:])
    return template if _only_text(probed) == said and probed.keys() == parsed.keys() else None


def _around(line: bytes, literal: bytes) -> tuple[bytes, bytes]:
    """What is before and after a JSON string, with its quotes; nothing if it is not there once."""
    if line.count(literal) != 1:
        return b"", b""
    before, _, after = line.partition(literal)
    return before + b'"', b'"' + after


def _only_text(event: Any) -> str | None:
    """The text of an event that says nothing else."""
    choices = event.pop("choices", None) if isinstance(event, dict) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        return None
    if event.get("usage") is not None or not all(map(_is_simple, event.values())) or event.get("error") is not None:
        return None
    choice = choices[0]
    delta = choice.pop("delta") if "delta" in choice else {"content": choice.pop("text", None)}  # of completions
    if not isinstance(delta, dict) or type(choice.pop("index", None)) is not int or any(choice.values()):
        return None
    said = [(name, value) for name, value in delta.items() if value and name != "role"]
    if len(said) != 1 or said[0][0] not in _TEXTS or delta.get("role") not in ("assistant", None):
        return None
    return said[0][1] if isinstance(said[0][1], str) else None


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _is_bare(text: bytes) -> bool:
    """Whether it is the content of a JSON string that is not empty, and has nothing escaped."""
    try:
        return text != b"" and text.decode().isprintable() and b'"' not in text and b"\\" not in text
    except UnicodeDecodeError:
        return False


def _is_unicode(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
