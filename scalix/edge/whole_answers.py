"""Answers of a model that come whole."""

from scalix.domain.limits.quota import Outcome
from scalix.domain.requests.routes import Route
from scalix.edge.asgi import send_bytes
from scalix.edge.lifted_parts import put_back
from scalix.edge.patience import Patience
from scalix.edge.provider_errors import Failed
from scalix.edge.replies import Reply

_SERVER_ERROR = 500
_NO_ANSWERS = (b"null", b'{"error":', b'{"type":"error"')


class WholeAnswer:
    """Gathers an answer, and charges, repairs and sends it once it is there. `status` is the inner app's; 0: none."""

    def __init__(self, reply: Reply, patience: Patience, status: int = 0) -> None:
        self._reply = reply
        self._patience = patience
        self._status = status
        self._parts: list[bytes] = []
        self.ended = False
        self._failure: Failed | None = None

    async def add(self, part: bytes, *, more: bool) -> None:
        """Take the next part. `more`: it is not the last."""
        self._parts.append(part)
        if more:
            return
        await self._patience.end()
        self.ended = True
        body = b"".join(self._parts)
        if self._status >= 400:
            self._failure = self._reply.failed(self._status, body)
        elif not body.strip() or body.startswith(_NO_ANSWERS):
            self._failure = self._reply.failed(_SERVER_ERROR, body)
        else:
            await self._deliver(body)

    async def conclude(self) -> Failed | None:
        """Nothing more comes. What the model has failed of: nothing is sent or settled then."""
        if not self.ended:
            self.ended = True
            if self._reply.exchange.client_left:
                await self._reply.account.settle(Outcome.CLIENT_LEFT)
            else:
                self._failure = self._reply.failed(0)
        return self._failure

    async def _deliver(self, body: bytes) -> None:
        reply, account, exchange = self._reply, self._reply.account, self._reply.exchange
        if exchange.admission.route is Route.MESSAGES and account.is_known_by_event_alone():
            await account.wait_for_report()
        if account.is_uncounted():
            await account.delivered.add_whole(body)
        clean = reply.repairs.whole(body)
        if exchange.attempt.lifted is not None:
            clean = put_back(clean, exchange.attempt.lifted)
        settled = await account.settle(Outcome.CLIENT_LEFT if exchange.client_left else Outcome.SUCCESS)
        await send_bytes(reply.send, self._status, clean, reply.headers(settled))
