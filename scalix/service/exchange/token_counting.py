"""Counting texts beside the event loop: tokenizers let others run meanwhile, and take their time."""

import asyncio
import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from scalix.domain.errors import Overloaded
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.estimate import ANY_FRAME, OPENAI_FRAME, Frame, estimate_prompt_tokens
from scalix.domain.tokens.families import Encoding, Family, family_of
from scalix.domain.tokens.media_tokens import Media
from scalix.domain.tokens.prompt_size import PromptSize
from scalix.domain.tokens.text_tokens import text_tokens

THREADS = 2
MOST_JOBS = 32  # running and waiting for a thread; what is charged and comes then is told the estimate
MOST_WAITING = 64  # prompts whose subject has its turn already, or that find all jobs taken
MOST_WAITING_OF_A_SUBJECT = 8
AT_ONCE_CHARACTERS = 64 * 1024  # shorter texts take less than 20 ms
PROMPT_AT_ONCE_CHARACTERS = 4 * 1024
STEP_CHARACTERS = 16 * 1024
SLICE_CHARACTERS = 256 * 1024  # some 0.1 s of the slowest tokenizer; then it is the next one's turn
PATIENCE_S = 5.0
RETRY_AFTER_S = 1

Tokenizer = Callable[[Encoding, str], int]
Found = TypeVar("Found")
Work = Generator[None, None, Found]
"""Counting, a slice at a time."""

log = logging.getLogger("scalix.tokens")


@dataclass(frozen=True, slots=True)
class Bound:
    """A prompt is counted no further than `most_tokens` (`None`: to its end), but for the first `AT_ONCE_CHARACTERS`;
    then it has `estimate_tokens` at most."""

    most_tokens: int | None = None
    estimate_tokens: int = 0


NO_BOUND = Bound()


class TokenCounting:
    """Counts by `tokenizer`, which must not hold the interpreter's lock. Of each subject one long text is counted at a
    time, and of all of them a slice in turn, so that a short prompt does not wait for the end of a long one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._threads = ThreadPoolExecutor(THREADS, "tokens")
        self._subjects: set[str] = set()
        self._waiting: dict[str, int] = {}
        self._one_ended = asyncio.Event()

    async def count(self, subject: str, provider_model: str, text: str) -> int:
        """The tokens of what was generated. What does not get its turn is estimated, at not less than it is: it is
        needed where an exchange is charged, which can't wait and must not be lost."""
        family = family_of(provider_model)
        if len(text) <= AT_ONCE_CHARACTERS:
            return _at_once(self._counted(family, text, None))[0]
        if subject in self._subjects or len(self._subjects) >= MOST_JOBS:
            return text_tokens(text)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return (await self._beside(subject, self._counted(family, text, None)))[0]
        except (TimeoutError, RuntimeError) as error:  # it ends, and takes no new jobs
            log.warning("a text of %d characters is estimated: %s", len(text), type(error).__name__)
            return text_tokens(text)

    async def size(
        self,
        subject: str,
        route: Route,
        body: Mapping[str, Any],
        media: Media,
        *,
        bound: Bound = NO_BOUND,
        frame: Frame = ANY_FRAME,
    ) -> PromptSize:
        """The size of a prompt, by the tokenizers of all models that may serve it (those of `media`). `frame` is of
        models whose templates are not known. Raises `Overloaded`."""
        parts: list[tuple[Family, int]] = []
        texts: list[str] = []

        def taken(text: str) -> int:
            texts[:] = [text]
            return 0

        for family in dict.fromkeys(map(family_of, media.provider_models or ("",))):
            around = OPENAI_FRAME if family.is_exact else frame
            parts.append((family, estimate_prompt_tokens(route, body, count=taken, media=media, frame=around)))
        text = texts[0] if texts else ""

        def size() -> Work[PromptSize]:
            found: list[tuple[int, bool]] = []
            for family, beside in parts:
                found.append((yield from self._part(family, beside, text, bound.most_tokens)))
            tokens = max((tokens for tokens, _ in found), default=0)
            if all(is_whole for _, is_whole in found):
                return PromptSize(tokens)
            return PromptSize(max(tokens, bound.estimate_tokens), tokens)

        if len(text) <= PROMPT_AT_ONCE_CHARACTERS:
            return _at_once(size())
        return await self._in_turn(subject, size())

    def _part(self, family: Family, beside_tokens: int, text: str, most_tokens: int | None) -> Work[tuple[int, bool]]:
        most = None if most_tokens is None else most_tokens - beside_tokens
        tokens, is_whole = yield from self._counted(family, text, most)
        return beside_tokens + tokens, is_whole

    def _counted(self, family: Family, text: str, most_tokens: int | None) -> Work[tuple[int, bool]]:
        """Tokens, and whether they are those of the whole text."""
        tokens = done = of_slice = 0
        for step in _steps(text):
            if of_slice >= SLICE_CHARACTERS:
                of_slice = 0
                yield
            tokens += family.tokens(step, self._tokenizer(family.encoding, step))
            done += len(step)
            of_slice += len(step)
            if most_tokens is not None and tokens > most_tokens and done >= AT_ONCE_CHARACTERS:
                break
        return tokens, done == len(text)

    async def _in_turn(self, subject: str, work: Work[Found]) -> Found:
        """What `work` finds, when it is the subject's turn. Raises `Overloaded`."""
        waiting = self._waiting.get(subject, 0)
        if waiting >= MOST_WAITING_OF_A_SUBJECT:
            raise _busy(f"{waiting} of your prompts are waiting to be counted.")
        if sum(self._waiting.values()) >= MOST_WAITING:
            raise _busy("The gateway is busy with counting long prompts.")
        self._waiting[subject] = waiting + 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                try:
                    while subject in self._subjects or len(self._subjects) >= MOST_JOBS:
                        await self._one_ended.wait()
                finally:
                    self._leave(subject)
                return await self._beside(subject, work)
        except (TimeoutError, RuntimeError):
            raise _busy("The gateway is busy with counting long prompts.") from None

    def _leave(self, subject: str) -> None:
        left = self._waiting.pop(subject) - 1
        if left:
            self._waiting[subject] = left

    async def _beside(self, subject: str, work: Work[Found]) -> Found:
        job: Future[tuple[Found] | None] = self._threads.submit(_slice, work)
        self._subjects.add(subject)
        try:
            while (found := await asyncio.wrap_future(job)) is None:
                job = self._threads.submit(_slice, work)
            return found[0]
        finally:
            if job.done():
                self._end(subject)
            else:
                # A slice that nobody waits for any more still runs: its subject's turn ends with it.
                job.add_done_callback(self._ended_later(subject))

    def _ended_later(self, subject: str) -> Callable[[object], None]:
        loop = asyncio.get_running_loop()

        def ended(job: object) -> None:
            with suppress(RuntimeError):  # the process is about to end
                loop.call_soon_threadsafe(self._end, subject)

        return ended

    def _end(self, subject: str) -> None:
        self._subjects.discard(subject)
        self._one_ended.set()
        self._one_ended = asyncio.Event()


def _slice(work: Work[Found]) -> tuple[Found] | None:
    """Go on with `work`. What it has found, if it has come to its end."""
    try:
        next(work)
    except StopIteration as end:
        return (end.value,)
    return None


def _at_once(work: Work[Found]) -> Found:
    while (found := _slice(work)) is None:
        pass
    return found[0]


def _steps(text: str) -> Iterator[str]:
    """`text` in pieces, which end before a space where there is one."""
    start = 0
    while start < len(text):
        end = start + STEP_CHARACTERS
        if end < len(text):
            space = text.rfind(" ", end - 256, end)
            end = space if space > start else end
        yield text[start:end]
        start = end


def _busy(what: str) -> Overloaded:
    return Overloaded(f"{what} Try again in {RETRY_AFTER_S} s.", retry_after_s=RETRY_AFTER_S, reason=what)
