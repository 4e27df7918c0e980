"""What a whole answer and a streamed one of a model have in common: who gets it, what charges and what repairs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scalix.domain.limits.quota import Outcome, Settled
from scalix.domain.requests.routes import Route
from scalix.edge.accounts import Account
from scalix.edge.answer_headers import answer_headers
from scalix.edge.answer_repairs import AnswerRepairs
from scalix.edge.asgi import Header, Send, send_error
from scalix.edge.provider_errors import Failed, failed, final_error
from scalix.service.exchange.exchanges import Exchange


@dataclass(frozen=True, slots=True)
class Reply:
    """The way back to the client from one model. `now_ms` gives Unix time."""

    exchange: Exchange
    model: str
    send: Send
    account: Account
    repairs: AnswerRepairs
    now_ms: Callable[[], int]

    def headers(self, settled: Settled | None) -> list[Header]:
        """The headers of an answer of this model. `None`: it is not settled yet."""
        return answer_headers(self.exchange, settled, self.model, self.now_ms())

    def failed(self, status: int, body: bytes = b"") -> Failed:
        """What the model has failed of. `status` and `body` are the inner app's own answer; 0: it has not sent any."""
        return failed(self.exchange, self.model, status, body)

    async def refuse(self, failures: Sequence[Failed]) -> None:
        """Settle, and send the error of a request that no model has answered. `failures`: of each that was asked."""
        exchange = self.exchange
        # Why the first one failed, unless one has answered after all, which is charged.
        first = failures[-1] if exchange.attempt.seen.answered_whole else failures[0]
        gave_up = exchange.client_left and not exchange.attempt.failures and len(failures) == 1
        outcome = Outcome.CLIENT_LEFT if exchange.hung_up or gave_up else first.outcome
        settled = await self.account.settle(outcome, first)
        admission = exchange.admission
        error = final_error(exchange, first, failures)
        exchange.told_code = "" if exchange.client_left else error.code
        headers = answer_headers(exchange, settled, None, self.now_ms())
        await send_error(self.send, error, headers, anthropic=admission.route is Route.MESSAGES)
