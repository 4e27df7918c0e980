"""What is measured of a medium, how much work that may be, and the sign that it can't be done."""

from dataclasses import dataclass


class CantTell(Exception):
    """No bound can be told for a medium: its format is not known, or says too little, or takes too much work."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The most that a provider could read in one medium. `pixels` are those of one picture, `(width, height)`;
    `text_tokens` bound the text that is in the file as text."""

    kind: str
    pictures: int = 0
    pixels: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    pages: int = 0
    text_tokens: int = 0


class Work:
    """What may be done for all the media of one request. Raises `CantTell` once that is used up.

    A step is about a microsecond; inflating 4 MiB takes some 10 ms.
    """

    def __init__(self, steps: int = 50_000, inflated_bytes: int = 4 * 1024 * 1024) -> None:
        self.steps = steps
        self.inflated_bytes = inflated_bytes

    def step(self, count: int = 1) -> None:
        """Take `count` steps."""
        self.steps -= count
        if self.steps < 0:
            raise CantTell

    def inflated(self, count: int) -> None:
        """Count bytes that came out of a compressed stream."""
        self.inflated_bytes -= count
        if self.inflated_bytes < 0:
            raise CantTell
