"""What a provider has answered, event by event or whole, as the client is to have it."""

from collections.abc import AsyncIterator

import orjson

from scalix.domain.answers.passed_chat import PassedChat

_DATA = b"data:"


def passed_whole(body: bytes, chat: PassedChat) -> bytes:
    """A whole answer, completed; as it is if it is none."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(answer, dict):
        return body
    chat.whole(answer)
    return orjson.dumps(answer)


async def passed_events(groups: AsyncIterator[list[bytes]], chat: PassedChat) -> AsyncIterator[bytes]:
    """The events of a stream, completed, those that came together in one piece."""
    async for events in groups:
        if passed := b"".join([passed_event(event, chat) for event in events]):
            yield passed


def passed_event(event: bytes, chat: PassedChat) -> bytes:
    """One event, completed; nothing for one that is not for the client."""
    line = event.strip()
    if not line.startswith(_DATA) or b"\n" in line:
        return event
    try:
        chunk = orjson.loads(line[len(_DATA) :])
    except orjson.JSONDecodeError:
        return event  # the mark of its end
    if not isinstance(chunk, dict):
        return event
    return b"".join([b"data: " + orjson.dumps(one) + b"\n\n" for one in chat.chunks(chunk)])
