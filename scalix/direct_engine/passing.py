"""What a provider has answered, event by event or whole, as the client is to have it."""

from collections.abc import AsyncIterator
from functools import partial

import orjson

from scalix.domain.answers.event_kinds import is_done
from scalix.domain.answers.passed_chat import PassedChat
from scalix.domain.answers.passed_embeddings import PassedEmbeddings
from scalix.domain.answers.passed_responses import PassedResponses
from scalix.domain.answers.plain_deltas import Changed, Group, Run
from scalix.service.answers.provider_errors import AnswerBroke
from scalix.service.exchange.attempts import Attempt

_DATA = b"data:"
_ENDS = (b"\n\n", b"\r\r", b"\r\n\r\n")
_DONE = b"data: [DONE]\n\n"
# How an event of the Responses API begins that names its type where it is looked for.
_NAMED = (b"event: response.", b'data: {"type":"response.')
_OF_A_RESPONSE = b'"response"'  # in a text quotes are escaped

Streamed = PassedChat | PassedResponses
Passed = Streamed | PassedEmbeddings


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

    def __init__(self, passed: Streamed) -> None:
        if isinstance(passed, PassedChat):
            self._event = partial(passed_event, chat=passed)
        else:
            self._event = partial(passed_response_event, passed=passed)
        self._changed = Changed(self._event)

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
            if passed := b"".join([self._event(event) for event in group]):
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


def passed_response_event(event: bytes, passed: PassedResponses) -> bytes:
    """An event of the Responses API, completed. What has nothing of the whole answer in it stays as it is; what nobody
    can read is left out."""
    if event.startswith(_NAMED) and _OF_A_RESPONSE not in event and event.endswith(_ENDS):
        return event
    data = b"\n".join([line[len(_DATA) :] for line in event.splitlines() if line.startswith(_DATA)])
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return event if is_done(event) else b""
    if not isinstance(value, dict):
        return b""
    try:
        completed = orjson.dumps(passed.event(value))
    except TypeError as error:
        raise AnswerBroke("an event of the provider's stream can't be written") from error
    name = value.get("type")
    head = b"event: " + name.encode() + b"\n" if isinstance(name, str) and name.isprintable() else b""
    return head + b"data: " + completed + b"\n\n"
