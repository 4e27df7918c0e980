"""What the readers of all formats share: the measured extent, a bound on the work, and how they give up."""

from dataclasses import dataclass
from typing import Final

# Faster than any recording. A higher rate would make a moment of hours of sound.
FASTEST_HZ: Final = 768_000


class CantTell(Exception):
    """A medium can't be measured: its format is unknown, says too little, or takes too much work."""


def cant_tell_if(is_so: object) -> None:
    """Give up on a medium if `is_so` is true. Raises `CantTell`."""
    if is_so:
        raise CantTell


def be(data: bytes, at: int, size: int) -> int:
    """The big-endian number in the `size` bytes from `at` on."""
    return int.from_bytes(data[at : at + size])


def le(data: bytes, at: int, size: int) -> int:
    """The little-endian number in the `size` bytes from `at` on."""
    return int.from_bytes(data[at : at + size], "little")


@dataclass(frozen=True, slots=True)
class Extent:
    """Upper bounds on what a provider can read in one medium. `pixels` is the size of one picture, `(width, height)`;
    `text_tokens` bounds the text that the file holds as text."""

    kind: str
    pictures: int = 0
    pixels: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    pages: int = 0
    text_tokens: int = 0


class Work:
    """The work that may be spent on all media of one request; `CantTell` is raised once it is used up.

    A step takes about a microsecond, inflating 4 MiB some 10 ms.
    """

    def __init__(self, steps: int = 50_000, inflated_bytes: int = 4 * 1024 * 1024) -> None:
        self.steps = steps
        self.inflated_bytes = inflated_bytes

    def step(self, count: int = 1) -> None:
        """Spend `count` steps."""
        self.steps -= count
        if self.steps < 0:
            raise CantTell

    def inflated(self, count: int) -> None:
        """Count bytes that came out of a compressed stream."""
        self.inflated_bytes -= count
        if self.inflated_bytes < 0:
            raise CantTell
