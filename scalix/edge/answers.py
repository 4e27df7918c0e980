"""The way back: takes what the inner app sends at one attempt, as a whole answer or as a stream."""

from scalix.domain.answers.plain_deltas import RUN
from scalix.edge.asgi import JSON, Message
from scalix.edge.patience import Patience
from scalix.edge.provider_errors import Failed
from scalix.edge.replies import Reply
from scalix.edge.streamed_answers import StreamedAnswer
from scalix.edge.whole_answers import WholeAnswer

_EVENT_STREAM = b"text/event-stream"


class Answer:
    """The answer of one model. Which kind it is shows when its head comes. `patience` ends with its first byte."""

    def __init__(self, reply: Reply, patience: Patience) -> None:
        self.reply = reply
        self.patience = patience
        self._kind: WholeAnswer | StreamedAnswer = WholeAnswer(reply, patience)  # until there is a head

    async def send(self, message: Message) -> None:
        """An ASGI `send` for the inner app."""
        if message["type"] == "http.response.start":
            status = message["status"]
            content_type = dict(message["headers"]).get(b"content-type", JSON)
            if status == 200 and content_type.startswith(_EVENT_STREAM):
                self._kind = StreamedAnswer(self.reply, self.patience)
            else:
                self._kind = WholeAnswer(self.reply, self.patience, status)
        elif message["type"] == "http.response.body" and not self._kind.ended:
            await self._kind.add(message.get("body", b""), more=message.get("more_body", False))
        elif message["type"] == RUN and isinstance(self._kind, StreamedAnswer) and not self._kind.ended:
            await self._kind.add_run(message["run"])

    async def conclude(self) -> Failed | None:
        """The inner app has ended: end and settle what is open. What the model has failed of; unless its stream had
        begun, nothing is sent or settled then. A second call says the same."""
        return await self._kind.conclude()
