"""Tells the store what one file of a journal holds: subjects side by side, the entries of one in order."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from scalix.store.base import CallRejected, StoreUnavailable
from scalix.store.journal.journal_entries import Entry, subject_of
from scalix.store.journal.journal_file import JournalFile, Line

_TRIES_OF_A_REJECTED_ENTRY = 5
_TOGETHER = 64

Apply = Callable[[Entry], Awaitable[object]]

log = logging.getLogger("scalix.journal")


class FileReplay:
    """Tells the store the entries of journal files. `on_disk` runs a blocking call on the thread that has the files.

    An entry that the store refuses is tried a few times and then set aside, so that it does not hold up the others.
    """

    def __init__(self, on_disk: Callable[..., Awaitable[Any]]) -> None:
        self._on_disk = on_disk
        # How often the store has not taken an entry, by the offset of its end in a file that is not done with.
        self.rejections: dict[Path, Counter[int]] = {}

    def forget(self, path: Path) -> None:
        """A file is done with: other entries will end where its own did."""
        self.rejections.pop(path, None)

    async def of(self, file: JournalFile, apply: Apply) -> int:
        """Replay what a file holds and mark it as done; how many entries. Raises `StoreUnavailable`, `OSError`."""
        replayed, offset = 0, file.done
        try:
            while lines := await self._on_disk(file.lines, offset):
                for first in range(0, len(lines), _TOGETHER):
                    told, fault = await self._replay_lines(file, lines[first : first + _TOGETHER], apply)
                    if told:
                        offset = told[-1].end
                        replayed += len(told)
                    if fault is not None:
                        raise fault
                await self._on_disk(file.mark, offset)
        finally:
            if offset > file.done:
                await self._on_disk(file.mark, offset)
        return replayed

    async def _replay_lines(
        self, file: JournalFile, lines: list[Line], apply: Apply
    ) -> tuple[list[Line], BaseException | None]:
        """Replay lines of different subjects at once, those of one in order. Those before the first fault, and it."""
        by_subject: dict[str, list[Line]] = {}
        for line in lines:
            by_subject.setdefault(subject_of(line.entry) if line.entry else "", []).append(line)
        told: set[int] = set()

        async def in_turn(chain: list[Line]) -> None:
            for line in chain:
                await self._replay_line(file, line, apply)
                told.add(line.end)

        ended = await asyncio.gather(*map(in_turn, by_subject.values()), return_exceptions=True)
        # Of those after a fault some were told too: they will be told again, which changes nothing.
        before_fault = list(itertools.takewhile(lambda line: line.end in told, lines))
        return before_fault, next((error for error in ended if error is not None), None)

    async def _replay_line(self, file: JournalFile, line: Line, apply: Apply) -> None:
        if line.entry is None:
            await self._set_aside(file, line, "can't be read")
            return
        try:
            await apply(line.entry)
        except Exception as fault:
            if isinstance(fault, StoreUnavailable) and not isinstance(fault, CallRejected):
                raise
            # Also what this process can't do with it: no fault of one entry may hold up the others for good.
            why = str(fault) if isinstance(fault, CallRejected) else type(fault).__name__
            times = self.rejections.setdefault(file.path, Counter())
            times[line.end] += 1
            if times[line.end] < _TRIES_OF_A_REJECTED_ENTRY:
                raise CallRejected(why) from None
            await self._set_aside(file, line, f"is not taken by the store ({why})")

    async def _set_aside(self, file: JournalFile, line: Line, why: str) -> None:
        path = await self._on_disk(file.set_aside, line)
        log.critical("an entry of %s before byte %d %s; it is kept in %s", file.path, line.end, why, path)
