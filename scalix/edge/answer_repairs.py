"""An engine's answer made the one that the client's API describes, and that is for this client.

It has the model's public name, the user's own ids, and no cost of the operator's. Of a stream only those events are
parsed that need it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from scalix.domain.answers.chat import ChatChunks, complete_chat, complete_text
from scalix.domain.answers.fields import without_operators
from scalix.domain.answers.messages import complete_message
from scalix.domain.answers.responses import ResponseShape
from scalix.domain.answers.text_chunks import complete_text_chunk
from scalix.domain.requests.routes import Route
from scalix.edge.given_ids import GivenIds
from scalix.service.exchange.exchanges import Exchange

_DATA = b"data: {"
_CHOICE = b'"choices":[{'
# A name with its quotes and colon stands in no text, where quotes are escaped.
_FINISH, _USAGE, _TOTALS = b'"finish_reason":', b'"usage":', b'"usage":{'
# What else a chunk must be parsed for.
_OF_THE_OPERATOR = (b'"provider":', b'"x_groq":', b'"kv_transfer_params":')
_TO_COMPLETE = (_TOTALS, b'"provider_specific_fields":', b'"logprobs":{', *_OF_THE_OPERATOR)
_OF_A_MESSAGE = (b'"message_start"', b'"message_delta"')
# What stands last in an answer with vectors, of which there may be megabytes.
_NULL_DETAILS = (b',"completion_tokens_details":null', b',"prompt_tokens_details":null')
_END_BYTES = 400

# Completes an object in place, and gives what is missing before it.
Complete = Callable[[dict[str, Any]], Iterable[dict[str, Any]] | None]


class AnswerRepairs:
    """Repairs one answer of one model. `asked` is the request's body; `with_usage`: the client of a stream has asked
    for its usage."""

    def __init__(
        self,
        exchange: Exchange,
        model: str,
        asked: Mapping[str, Any],
        now_s: Callable[[], int],
        *,
        with_usage: bool = False,
        ids: GivenIds | None = None,
    ) -> None:
        self._exchange = exchange
        self._ids = ids
        self._with_usage = with_usage
        self._responses = ResponseShape(model, asked, now_s, lambda: exchange.attempt.refused)
        self._is_one = exchange.admission.choices == 1
        self._chunks = ChatChunks(with_usage=with_usage, several=not self._is_one)
        self._head: dict[str, Any] = {}
        usage = b'"usage":null,' if with_usage else b""
        self._opening = usage + _CHOICE
        self._opening_unfinished = usage + _CHOICE + b'"finish_reason":null,'
        self._event: Callable[[bytes], bytes] = {
            Route.CHAT: self._chat_event,
            Route.COMPLETIONS: self._text_event,
            Route.RESPONSES: self._response_event,
            Route.MESSAGES: self._message_event,
        }.get(exchange.admission.route, bytes)

    @property
    def next_number(self) -> int:
        """The number that the next event of a Responses stream has."""
        return self._responses.next_number

    def whole(self, body: bytes) -> bytes:
        """An answer that is not streamed; what is no JSON object stays as it is."""
        if self._exchange.admission.route is Route.EMBEDDINGS and b"cost" not in body:
            end = body[-_END_BYTES:]
            for null in _NULL_DETAILS:
                end = end.replace(null, b"")
            return body[:-_END_BYTES] + end
        return self._rewritten(body, body, self._complete, is_whole=True)

    def event(self, event: bytes) -> bytes:
        """One server-sent event; nothing for one that the client has not asked for."""
        return self._event(event)

    def _complete(self, answer: dict[str, Any]) -> None:
        route = self._exchange.admission.route
        if route is Route.CHAT:
            complete_chat(answer)
        elif route is Route.COMPLETIONS:
            complete_text(answer)
        elif route is Route.RESPONSES:
            self._responses.response(answer)
        elif route is Route.MESSAGES:
            self._complete_message(answer)

    def _complete_message(self, message: dict[str, Any]) -> None:
        complete_message(message, self._exchange.admission.receipt.prompt_tokens)

    def _rewritten(self, raw: bytes, part: bytes, complete: Complete, *, is_whole: bool = False) -> bytes:
        """The JSON object `raw`, completed, with the ids for this user; as it is if it is none. `part` has it in it."""
        try:
            value = orjson.loads(raw)
            if not isinstance(value, dict):
                return part
            drop_cost(value)
            values = (*(complete(value) or ()), value)
            if self._ids is not None and self._ids.concerns(part):
                for one in values:
                    self._ids.rewrite(one, is_whole=is_whole)
            return orjson.dumps(value) if is_whole else b"".join(map(self._written, values))
        except (ValueError, TypeError, RecursionError):
            return part

    def _written(self, event: dict[str, Any]) -> bytes:
        name = event.get("type") if self._exchange.admission.route in (Route.RESPONSES, Route.MESSAGES) else None
        head = b"event: " + name.encode() + b"\n" if isinstance(name, str) and name.isprintable() else b""
        return head + b"data: " + orjson.dumps(event) + b"\n\n"

    def _parsed(self, event: bytes, complete: Complete) -> bytes:
        begin = 0 if event.startswith(b"data:") else event.find(b"\ndata:") + 1
        if begin == 0 and not event.startswith(b"data:"):
            return event
        return self._rewritten(event[begin + 5 :], event, complete)

    # by route

    def _chat_event(self, event: bytes) -> bytes:
        if not self._is_one:
            is_over = b"[DONE]" in event or _TOTALS in event
            return (self._ends() if is_over else b"") + self._parsed(event, self._complete_chunk)
        if not event.startswith(_DATA):
            return event
        if any(sign in event for sign in _TO_COMPLETE) or (self._ids is not None and self._ids.concerns(event)):
            return self._parsed(event, self._complete_chunk)
        if _USAGE in event:
            return event if _FINISH in event else event.replace(_CHOICE, _CHOICE + b'"finish_reason":null,', 1)
        return event.replace(_CHOICE, self._opening if _FINISH in event else self._opening_unfinished, 1)

    def _complete_chunk(self, chunk: dict[str, Any]) -> None:
        self._chunks.complete(chunk)
        self._head = {name: value for name, value in chunk.items() if name != "usage"}

    def _ends(self) -> bytes:
        """Of several choices, the ends that the engine has kept to itself."""
        choices = self._chunks.unfinished(self._exchange.attempt.finishes)
        usage = {"usage": None} if self._with_usage else {}
        events = [orjson.dumps({**self._head, "choices": [choice], **usage}) for choice in choices]
        return b"".join(b"data: " + event + b"\n\n" for event in events)

    def _text_event(self, event: bytes) -> bytes:
        if not event.startswith(_DATA):
            return self._texts() + event
        kept = True

        def complete(chunk: dict[str, Any]) -> None:
            nonlocal kept
            if self._exchange.attempt.text_choices.is_used:
                chunk["choices"] = []  # the provider's own take their place
            kept = complete_text_chunk(chunk, with_usage=self._with_usage)
            self._head = {name: value for name, value in chunk.items() if name not in ("usage", "choices")}

        event = self._parsed(event, complete)
        return self._texts() + (event if kept else b"")

    def _texts(self) -> bytes:
        """The chunks of a provider's own choices that the engine has read by now."""
        usage = {"usage": None} if self._with_usage else {}
        taken = self._exchange.attempt.text_choices.take() if self._head else ()
        return b"".join(self._written({**self._head, **chunk, **usage}) for chunk in taken)

    def _response_event(self, event: bytes) -> bytes:
        return self._parsed(event, self._responses.event)

    def _message_event(self, event: bytes) -> bytes:
        if any(sign in event for sign in _OF_A_MESSAGE) or (self._ids is not None and self._ids.concerns(event)):
            return self._parsed(event, self._complete_message_event)
        return event

    def _complete_message_event(self, event: dict[str, Any]) -> None:
        message, delta = event.get("message"), event.get("delta")
        if event.get("type") == "message_start" and isinstance(message, dict):
            self._complete_message(message)
        elif event.get("type") == "message_delta" and isinstance(delta, dict):
            delta.setdefault("stop_sequence", None)


def drop_cost(value: dict[str, Any]) -> None:
    """Take out what LiteLLM or a provider says of the operator's cost, which is nobody else's business."""
    response = value.get("response")
    without_operators(value)
    if isinstance(response, dict):
        without_operators(response)
