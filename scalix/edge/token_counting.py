"""Counting long texts beside the event loop: tokenizers let others run meanwhile, and take their time."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from scalix.domain.tokens.text_tokens import text_tokens

THREADS = 2
MOST_JOBS = 8  # running and waiting; whoever comes then is told the estimate
AT_ONCE_CHARACTERS = 64 * 1024  # shorter texts take less than 20 ms
PATIENCE_S = 5.0

Tokenizer = Callable[[str, str], int]  # model, text -> tokens

log = logging.getLogger("scalix.edge")


class TokenCounting:
    """Counts by `tokenizer`, which must not hold the interpreter's lock. What does not get its turn is estimated, at
    not less than it is: it is needed where an exchange is charged, which can't wait and must not be lost."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._threads = ThreadPoolExecutor(THREADS, "tokens")
        self._subjects: set[str] = set()

    async def count(self, subject: str, model: str, text: str) -> int:
        """The tokens of `text`. Of each subject one long text is counted at a time."""
        if len(text) <= AT_ONCE_CHARACTERS:
            return self._tokenizer(model, text)
        if subject in self._subjects or len(self._subjects) >= MOST_JOBS:
            return text_tokens(text)
        self._subjects.add(subject)
        try:
            job: Future[int] = self._threads.submit(self._tokenizer, model, text)
            # A job that nobody waits for any more still runs: its subject's turn ends with it.
            job.add_done_callback(lambda job: self._subjects.discard(subject))
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.wrap_future(job)
        except (TimeoutError, RuntimeError) as error:  # it ends, and takes no new jobs
            log.warning("a text of %d characters is estimated: %s", len(text), type(error).__name__)
            return text_tokens(text)
