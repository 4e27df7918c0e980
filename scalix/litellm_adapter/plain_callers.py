"""In plain mode, whom a request is of on its way from LiteLLM's authentication to its pre-call hook."""

import secrets
from collections import OrderedDict

from scalix.service.identity.callers import Caller

MAX_CALLERS = 10_000


class PlainCallers:
    """Keeps callers by a random ticket, which LiteLLM carries in a request's metadata. The oldest give way."""

    def __init__(self, most: int = MAX_CALLERS) -> None:
        self._callers: OrderedDict[str, Caller] = OrderedDict()
        self._most = most

    def ticket_of(self, caller: Caller) -> str:
        """A ticket by which `caller` can be had again."""
        ticket = secrets.token_hex(16)
        self._callers[ticket] = caller
        if len(self._callers) > self._most:
            self._callers.popitem(last=False)
        return ticket

    def get(self, ticket: object) -> Caller | None:
        """The caller with this ticket; `None` for one that was never given out or is too old."""
        return self._callers.get(ticket) if isinstance(ticket, str) else None
