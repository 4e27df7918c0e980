"""What the streams of all routes share: frames for the opening, each delta, the end, and an error."""

from typing import Any, Protocol

import orjson


class Stream(Protocol):
    """Makes the frames of one streamed answer. `usage` is what the frames made so far have reported."""

    usage: Any

    def opening(self) -> bytes: ...

    def delta(self, choice: int, text: str) -> bytes: ...

    def closing(self) -> bytes: ...

    def nothing(self) -> bytes:
        """Only the end, for an answer without choices."""

    def error(self, body: dict[str, Any]) -> bytes:
        """The frame that reports `body`, an error in the shape of the route's API."""


def data_frame(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def event_frame(name: str, value: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"
