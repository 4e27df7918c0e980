"""What a provider has answered, event by event or whole, as the client is to have it."""

from collections.abc import AsyncIterator

import orjson

from scalix.domain.answers.event_kinds import is_done
from scalix.domain.answers.passed_chat import PassedChat
from scalix.domain.answers.passed_embeddings import PassedEmbeddings
from scalix.domain.answers.plain_deltas import Changed, Group, Run
from scalix.service.answers.provider_errors import AnswerBroke
from scalix.service.exchange.attempts import Attempt

_DATA = b"data:"
_ENDS = (b"\n\n", b"\r\r", b"\r\n\r\n")
_DONE = b"data: [DONE]\n\n"

Passed = PassedChat | PassedEmbeddings


def passed_whole(body: bytes, passed: Passed) -> bytes:
    """A whole answer, completed; `null` if it is none."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return b"null"
    if not isinstance(answer, dict) or not isinstance(answer.get(passed.items), list):
        return b"null"
    passed.whole(answer)
    return orjson.dumps(answer)


class PassedStream:
    """A provider's stream on its way to the client. Runs of plain deltas are not parsed."""

    def __init__(self, chat: PassedChat) -> None:
        self._chat = chat
        self._changed = Changed(lambda event: passed_event(event, chat))

    def pass_on(self, attempt: Attempt, run: Run) -> bool:
        """Have a run sent to the client now. Returns whether it was."""
        completed = self._completed(run)
        return completed is not None and attempt.pass_run(completed)

    def _completed(self, run: Run) -> Run | None:
        """A run as the client is to have it; `None` if its events are to be parsed."""
        template = self._changed.of(run.template)
        return None if template is None else Run(template, run.texts, run.count)

    async def passed(self, groups: AsyncIterator[Group]) -> AsyncIterator[bytes | Run]:
        """What the client is to have, those that came together in one piece, and the mark of its end."""
        is_over = False
        async for group in groups:
            if isinstance(group, Run):
                if (run := self._completed(group)) is not None:
                    yield run
                    continue
                group = group.events()
            is_over = is_over or is_done(group[-1])
            if passed := b"".join([passed_event(event, self._chat) for event in group]):
                yield passed
        if not is_over:
            yield _DONE


def passed_event(event: bytes, chat: PassedChat) -> bytes:
    """One event, completed; nothing for one that is not for the client."""
    line = event.strip()
    if not line.startswith(_DATA) or b"\n" in line:
        return event
    try:
        chunk = orjson.loads(line[len(_DATA) :])
    except orjson.JSONDecodeError:
        # The mark of its end. Half an event, with which it broke off, would swallow the next, which says so.
        return event if is_done(event) or event.endswith(_ENDS) else b""
    if not isinstance(chunk, dict):
        return event
    try:
        return b"".join([b"data: " + orjson.dumps(one) + b"\n\n" for one in chat.chunks(chunk)])
    except TypeError as error:  # it is nested too deep, or its numbers are no numbers
        raise AnswerBroke("an event of the provider's stream can't be written") from error
