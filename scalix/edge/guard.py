"""The guard at the front door: who may come in from where, how many at once, and what wrong keys cost."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from scalix.domain.errors import IpBlocked
from scalix.domain.identity.addresses import NO_NETWORKS, Address, Networks, group_of, parse_network
from scalix.domain.identity.ip_rules import ANYBODY, IpRules
from scalix.domain.requests.guard import GuardSettings
from scalix.edge.asgi import Header, Receive, Scope, token_of
from scalix.edge.bodies import ClientGone, left
from scalix.edge.client_address import ClientAddresses
from scalix.edge.guard_bodies import paced
from scalix.edge.guard_headers import check_headers, check_host
from scalix.service.exchange.load_shedding import LoadShedding
from scalix.service.identity.callers import Caller
from scalix.service.identity.throttle import Throttle
from scalix.service.policy_source import PolicySource

_EXEMPT_FROM_RULES = frozenset({"/health/liveliness", "/health/readiness"})
_QUEUED_MS = "scalix_queued_ms"


class Guard:
    """Judges requests by what they look like, by where they come from and by the load, never by who sends them."""

    def __init__(
        self, policy: PolicySource, addresses: ClientAddresses, shedding: LoadShedding, throttle: Throttle
    ) -> None:
        self._policy = policy
        self.addresses = addresses
        self._shedding = shedding
        self._throttle = throttle
        self._read_from: GuardSettings | None = None
        self._rules: IpRules = ANYBODY
        self._exempt: Networks = NO_NETWORKS

    def check(self, scope: Scope) -> None:
        """Look at a request before anything else does. Raises `BadRequest`, `IpBlocked`."""
        settings = self.settings
        check_headers(scope)
        if scope["path"] in _EXEMPT_FROM_RULES:
            return  # probes come from anywhere, under any name, and learn nothing
        check_host(scope, settings.allowed_hosts)
        if not self._rules.permits(self.addresses.of(scope)):
            raise IpBlocked("Requests from your address are not taken here. Ask the operator of this gateway.")

    @contextmanager
    def metered(self, scope: Scope, receive: Receive, principal: Caller) -> Iterator[Receive]:
        """A place among the requests in flight, with the `receive` to read the body from. Raises `Overloaded`.

        `principal` has shown a right credential. One that may act for others, the app's own backend, has as many
        requests in flight as its users do, and so no cap by address.
        """
        settings = self.settings
        limits = settings.overload
        group = None if principal.may_name_users else self._group(self.addresses.of(scope))
        owner = None if principal.may_name_users else str(principal.subject)
        with self._shedding.slot(group, limits, owner) as slot:
            yield paced(receive, lambda size: slot.hold(size, limits))

    def check_load(self, caller: Caller) -> None:
        """Turn away a charged caller whose tier has to wait at this load. Raises `Overloaded`."""
        self._shedding.check(caller, self.settings.overload)

    def lets_in(self, caller: Caller) -> bool:
        """Whether a charged caller's request may go on, and need not `wait_for_place`."""
        return self._shedding.lets_in(caller, self.settings.overload)

    async def wait_for_place(self, caller: Caller, scope: Scope, receive: Receive) -> None:
        """Wait, and note in the scope for how long. Raises `Overloaded`, `ClientGone`."""
        loop, leaving = asyncio.get_running_loop(), asyncio.ensure_future(left(receive))
        began_s = loop.time()
        try:
            if not await self._shedding.wait(caller, self.settings.overload, leaving):
                raise ClientGone
        finally:
            leaving.cancel()
            scope[_QUEUED_MS] = round((loop.time() - began_s) * 1000)

    def config_version(self) -> str:
        """By which config requests are judged now."""
        return self._policy.current.version

    def drain(self) -> None:
        """The worker is about to end: who waits is turned away, and nobody waits any more."""
        self._shedding.line.close()

    async def refused(self, scope: Scope) -> None:
        """Called for a credential that was refused: returns when the answer may go out."""
        if token_of(scope) is not None:
            await self.wrong_credential(scope)

    async def wrong_credential(self, scope: Scope) -> None:
        """As `refused`, of a credential that came in a form."""
        group = self._group(self.addresses.of(scope))
        if group is not None:
            await self._throttle.wrong_credential(group, self.settings.overload.wrong_key_delay_s)

    def refused_at_once(self, scope: Scope) -> bool:
        """As `refused`, for an answer that may go out now. Where it has to wait, nothing has been counted: `False`."""
        group = self._group(self.addresses.of(scope)) if token_of(scope) is not None else None
        longest_s = self.settings.overload.wrong_key_delay_s
        return group is None or self._throttle.wrong_credential_at_once(group, longest_s)

    @property
    def user_header(self) -> str:
        """The header that names a user, in lower case; empty for none."""
        return self._policy.current.guard.user_header

    def extra_fields(self, route: str) -> tuple[str, ...]:
        """The body fields that the operator allows on a metered route, beside those of its API."""
        return self.settings.extra_body_fields.get(route, ())

    def _group(self, address: Address | None) -> str | None:
        if address is None or self.addresses.is_trusted(address) or address in self._exempt:
            return None
        return group_of(address)

    @property
    def settings(self) -> GuardSettings:
        """What is in force now."""
        settings = self._policy.current.guard
        if settings is not self._read_from:  # after a reload
            self._rules = IpRules.parse(settings.ip_allow, settings.ip_deny)
            self._exempt = Networks(map(parse_network, settings.overload.exempt))
            self._read_from = settings
        return settings


def queued_headers(scope: Scope) -> list[Header]:
    """How long a request has waited for its place, if it has."""
    queued_ms: int = scope.get(_QUEUED_MS, 0)
    return [(b"x-scalix-queued-ms", str(queued_ms).encode())] if queued_ms else []
