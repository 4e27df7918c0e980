"""Two instances with two workers each on one store: what is done at one holds for the next request at each.

Also while the store's publish/subscribe is cut off, by a user of the store who may not use it.
"""

import secrets
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import redis

from tests.demo_server import DemoServer
from tests.e2e.gateways import JWT_SECRET, SECRET_ISSUER, Gateway, instances
from tests.launch.running import eventually
from tests.service.token_issuer import TokenIssuer

pytestmark = pytest.mark.timeout(900)

MODEL = "free-gemini-flash"
CONNECTIONS = 6
# What managed servers forbid, and publish/subscribe.
WITHOUT_PUBSUB = (
    "+@all",
    "-@admin",
    "-@dangerous",
    "+info",
    "-role",
    "-script",
    "-client",
    "-@pubsub",
    "resetchannels",
)
PUBSUB = {"publish", "spublish", "subscribe", "psubscribe", "ssubscribe"}


@pytest.fixture(scope="module")
def gateways(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer
) -> Iterator[list[Gateway]]:
    with instances(tmp_path_factory.mktemp("keys"), demo_server.url, rights=request.param) as made:
        yield made


def statuses(gateways: list[Gateway], credential: str, model: str = MODEL) -> set[int]:
    """Of a request on each of several fresh connections to each instance, so that every worker is met."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi [[demo words=1]]"}]}
    seen = set()
    for gateway in gateways:
        for _ in range(CONNECTIONS):
            seen.add(status_of_one(gateway, credential, body))
    return seen


def status_of_one(gateway: Gateway, credential: str, body: dict[str, Any]) -> int:
    """Of one request; anew where a busy machine kept the store from answering in time, which these tiers wait out."""
    for _ in range(20):
        answer = httpx.post(
            f"{gateway.url}/v1/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {credential}"},
            timeout=30,
            trust_env=False,
        )
        if answer.status_code != 503:
            break
    return answer.status_code


class Operator:
    """Acts at one instance and then at the other."""

    def __init__(self, gateways: list[Gateway]) -> None:
        self._gateways = gateways
        self._acts = 0

    def act(self, path: str, **body: Any) -> dict[str, Any]:
        self._acts += 1
        with self._gateways[self._acts % 2].client() as operator:
            answer = operator.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())


def a_round_of_acts_on_a_key(gateways: list[Gateway], operator: Operator) -> None:
    act, user = operator.act, f"user-{secrets.token_hex(6)}"
    act("/user/new", user_id=user, tier="free-models")
    key = act("/key/generate", user_id=user)
    assert statuses(gateways, key["key"]) == {200}
    act("/key/block", key=key["token"])
    assert statuses(gateways, key["key"]) == {403}
    act("/key/unblock", key=key["token"])
    assert statuses(gateways, key["key"]) == {200}
    act("/user/update", user_id=user, blocked=True)
    assert statuses(gateways, key["key"]) == {403}
    act("/user/update", user_id=user, blocked=False)
    assert statuses(gateways, key["key"]) == {200}
    act("/key/update", key=key["token"], allowed_ips=["203.0.113.0/24"])
    assert statuses(gateways, key["key"]) == {403}
    act("/key/update", key=key["token"], allowed_ips=None)
    assert statuses(gateways, key["key"]) == {200}
    assert statuses(gateways, key["key"], "gpt-4") == {403}
    act("/user/update", user_id=user, tier="all-models")
    assert statuses(gateways, key["key"], "gpt-4") == {200}
    act("/key/update", key=key["token"], models=["free-*"])
    assert statuses(gateways, key["key"], "gpt-4") == {403}
    fresh = act("/key/regenerate", key=key["token"])
    assert statuses(gateways, key["key"]) == {401}
    assert statuses(gateways, fresh["key"]) == {200}
    act("/key/delete", keys=[fresh["token"]])
    assert statuses(gateways, fresh["key"]) == {401}


def a_round_of_acts_on_a_token(gateways: list[Gateway], operator: Operator) -> None:
    sub = f"user-{secrets.token_hex(6)}"
    user = f"a:{sub}"
    token = TokenIssuer(SECRET_ISSUER, secret=JWT_SECRET, now_s=int(time.time())).token(sub=sub, jti="one")
    operator.act("/user/new", user_id=user, tier="free-models")
    assert statuses(gateways, token) == {200}
    operator.act("/user/update", user_id=user, tier="all-models")
    assert statuses(gateways, token, "gpt-4") == {200}
    operator.act("/scalix/v1/tokens/revoke", user_id=user, jti="one")
    assert statuses(gateways, token) == {401}


@pytest.mark.parametrize(
    ("gateways", "rounds"),
    [
        pytest.param(WITHOUT_PUBSUB, 1, id="without publish and subscribe"),
        pytest.param(WITHOUT_PUBSUB, 10, id="without publish and subscribe, ten times", marks=pytest.mark.soak),
        pytest.param((), 10, id="with them, ten times", marks=pytest.mark.soak),
    ],
    indirect=["gateways"],
)
def test_every_act_holds_for_the_next_request_of_every_worker(gateways: list[Gateway], rounds: int) -> None:
    operator = Operator(gateways)
    for _ in range(rounds):
        a_round_of_acts_on_a_key(gateways, operator)
        a_round_of_acts_on_a_token(gateways, operator)
    asked = redis.Redis.from_url(gateways[0].extra["REDIS_URL"].replace("gateway:of-the-tests@", ""))
    assert not {name.removeprefix("cmdstat_") for name in asked.info("commandstats")} & PUBSUB
    asked.close()


def switched_at(gateway: Gateway) -> datetime:
    """When a gateway's launcher said last that another config is in force."""

    def lines() -> list[str]:
        return [line for line in gateway.log_text().splitlines() if " tiers reloaded (" in line]

    return datetime.fromisoformat(eventually(lines, "it has said so")[-1].split()[0])


@pytest.mark.parametrize(
    "gateways", [pytest.param(WITHOUT_PUBSUB, id="without publish and subscribe")], indirect=["gateways"]
)
def test_a_reload_takes_an_issuer_from_both_within_a_second_or_from_none(gateways: list[Gateway]) -> None:
    sub = f"user-{secrets.token_hex(6)}"
    token = TokenIssuer(SECRET_ISSUER, secret=JWT_SECRET, now_s=int(time.time())).token(sub=sub)
    Operator(gateways).act("/user/new", user_id=f"a:{sub}", tier="free-models")
    workers = [gateway.workers() for gateway in gateways]
    files = [gateway.folder / "config.yaml" for gateway in gateways]
    before = files[0].read_text()
    assert before == files[1].read_text()
    assert statuses(gateways, token) == {200}
    # Given that the new file is at one of them only: none changes
    files[0].write_text(before.replace(SECRET_ISSUER, "https://issuer-c.test"))
    assert files[0].read_text() != before
    done = gateways[0].command("--reload")
    assert done.returncode == 2
    assert f"{gateways[1].url.removeprefix('http://')} has another config in its files" in done.stderr
    assert statuses(gateways, token) == {200}
    # When both have it: both change, and keep their workers
    files[1].write_text(files[0].read_text())
    done = gateways[0].command("--reload")
    assert (done.returncode, done.stderr) == (0, "")
    one, other = map(switched_at, gateways)
    assert abs(one - other) < timedelta(seconds=1)
    eventually(lambda: statuses(gateways, token) == {401}, "it is in force in each worker")
    assert [gateway.workers() for gateway in gateways] == workers
    for file in files:
        file.write_text(before)
    assert gateways[1].command("--reload").returncode == 0
    eventually(lambda: statuses(gateways, token) == {200}, "it is in force in each worker")


@pytest.mark.parametrize(
    "gateways", [pytest.param(WITHOUT_PUBSUB, id="without publish and subscribe")], indirect=["gateways"]
)
def test_a_reload_has_all_workers_serve_whom_and_believe_which_proxy_it_names(gateways: list[Gateway]) -> None:
    workers = [gateway.workers() for gateway in gateways]
    files = [gateway.folder / "config.yaml" for gateway in gateways]
    before = files[0].read_text()
    named = "scalix:\n  trusted_proxies: [127.0.0.1]\n  anonymous: {enabled: true, tier: fifty}\n"
    addresses = map("198.51.100.{}".format, range(1, 255))

    def answers(gateways: list[Gateway]) -> set[tuple[int, str | None]]:
        """Of clients without a credential behind a proxy, each on a connection of its own: its status, and what an
        address has left that nobody has called from before."""
        seen = set()
        for gateway in gateways * CONNECTIONS:
            body = {"model": MODEL, "messages": [{"role": "user", "content": "hi [[demo words=1]]"}]}
            headers = {"x-forwarded-for": next(addresses)}
            url = f"{gateway.url}/v1/chat/completions"
            answer = httpx.post(url, json=body, headers=headers, timeout=30, trust_env=False)
            seen.add((answer.status_code, answer.headers.get("x-ratelimit-remaining-requests")))
        return seen

    assert answers(gateways) == {(401, None)}
    for file in files:
        file.write_text(before.replace("scalix:\n", named, 1))
        assert file.read_text() != before
    assert gateways[0].command("--reload").returncode == 0
    assert answers(gateways[:1]) == {(200, "49")}
    eventually(lambda: answers(gateways) == {(200, "49")}, "it is in force at the other too")
    assert [gateway.workers() for gateway in gateways] == workers
    for file in files:
        file.write_text(before)
    assert gateways[0].command("--reload").returncode == 0
    assert answers(gateways[:1]) == {(401, None)}
