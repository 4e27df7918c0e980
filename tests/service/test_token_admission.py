"""Tokens and admission: what is revoked holds for the next request, and nothing is asked of the store for it."""

from pathlib import Path

import pytest

from scalix.domain.errors import InvalidApiKey, RateLimitExceeded
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Tally
from scalix.domain.requests.routes import Route
from scalix.service.administration.token_revocation import Revoke
from scalix.service.exchange.admission_control import AdmissionControl
from scalix.service.exchange.calls import Call
from scalix.service.exchange.exchanges import Exchange, Exchanges
from scalix.service.exchange.known_refusals import KnownRefusals
from scalix.service.exchange.model_access import ModelAccess
from scalix.service.exchange.outage import Outage
from scalix.service.exchange.reservations import Reservations
from scalix.service.exchange.token_counting import TokenCounting
from scalix.store.base import UserRecord
from scalix.store.journal.journal import Journal
from scalix.store.quota.local import LocalCounters
from tests.service.token_rig import BY, TokenRig


class Worker(TokenRig):
    """One process's services; `store` is what processes share."""

    def start(self, state_dir: Path) -> "Worker":
        outage = Outage(LocalCounters(self.clock), Journal(state_dir / str(id(self))))
        room = Reservations(self.store, outage, KnownRefusals())
        counting = TokenCounting(lambda encoding, text: len(text))
        self.admission = AdmissionControl(self.policy, ModelAccess(), room, Exchanges(), counting)
        self.requests = 0
        return self

    async def request(self, token: str) -> Exchange:
        caller = await self.caller(token)
        self.requests += 1
        body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
        return await self.admission.admit(caller, Call(f"{id(self)}-{self.requests}", Route.CHAT, body))


@pytest.fixture
def workers(tmp_path: Path) -> tuple[Worker, Worker]:
    first = Worker().start(tmp_path)
    return first, Worker(store=first.store).start(tmp_path)


async def used_by(worker: Worker, subject: str) -> int:
    tally: Tally = (await worker.store.tallies(subject))[1].get(Window.DAY, Tally())
    return tally.requests_held


async def test_a_known_user_s_request_is_one_admission_and_no_reading(workers: tuple[Worker, Worker]) -> None:
    worker = workers[0]
    token = worker.other.token(plan="pro")
    await worker.request(token)
    reads = worker.store.reads
    for _ in range(5):
        await worker.request(token)
    assert worker.store.reads == reads


@pytest.mark.parametrize("body", [{"user_id": "a:bob", "jti": "one"}, {"user_id": "a:bob"}], ids=["jti", "user"])
async def test_a_revocation_in_one_process_holds_for_the_next_request_in_another(
    workers: tuple[Worker, Worker], body: dict[str, str]
) -> None:
    first, second = workers
    token = first.issuer.token(jti="one")
    await second.request(token)
    await first.revocation.revoke(Revoke.read(body), BY)
    with pytest.raises(InvalidApiKey):
        await second.request(token)
    assert await used_by(second, "user:a:bob") == 1


async def test_another_token_of_the_user_goes_on(workers: tuple[Worker, Worker]) -> None:
    first, second = workers
    kept = first.issuer.token(jti="two")
    await second.request(kept)
    await first.revocation.revoke(Revoke.read({"user_id": "a:bob", "jti": "one"}), BY)
    await second.request(kept)


async def test_a_new_tier_in_the_record_holds_for_the_next_request(workers: tuple[Worker, Worker]) -> None:
    first, second = workers
    token = first.issuer.token()
    for _ in range(2):
        await second.request(token)
    await first.store.create(UserRecord("a:bob", tier="pro"))
    exchange = await second.request(token)
    assert exchange.admission.caller.tier is not None
    assert exchange.admission.caller.tier.name == "pro"


async def test_one_sub_of_two_issuers_does_not_share_a_quota(workers: tuple[Worker, Worker]) -> None:
    worker = workers[0]
    for _ in range(2):
        await worker.request(worker.issuer.token())
    with pytest.raises(RateLimitExceeded):
        await worker.request(worker.issuer.token())
    for _ in range(2):
        await worker.request(worker.other.token())


async def test_a_refused_token_uses_nothing(workers: tuple[Worker, Worker]) -> None:
    worker = workers[0]
    with pytest.raises(InvalidApiKey):
        await worker.request(worker.issuer.token(aud="another"))
    assert await used_by(worker, "user:a:bob") == 0
