"""A limit is held to the last request and token, however many ask for it at once, in however many processes."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.demo_server import DemoServer
from tests.e2e.crowds import OK, Crowd, served, wait_out_the_turn_of_the_hour
from tests.e2e.gateways import Gateway, instances

NewUser = Callable[..., str]
RUNS = 10
TOKENS = 10_000
STREAM_TOKENS = 500


def room_for_fifty(crowd: Crowd, provider: DemoServer) -> str:
    """200 requests at once from a user with room for 50."""
    answers = Counter(crowd.at_once(200, "words=5 delay_ms=50", max_tokens=20))
    asked = served(provider, crowd.marker)
    assert answers == {OK: 50, (429, "rate_limit_exceeded"): 150}
    assert asked.requests == 50
    assert crowd.counted() == (50, asked.tokens, 0)
    return f"50 of 200 answered, {asked.most_at_once} at once at the provider"


def first_requests(crowd: Crowd, provider: DemoServer) -> str:
    """60 requests at once from somebody whom no gateway has seen: the default tier has room for 10 in an hour."""
    answers = Counter(crowd.at_once(60, "words=5 delay_ms=50", model="free-gemini-flash", max_tokens=20))
    asked = served(provider, crowd.marker)
    assert answers == {OK: 10, (429, "rate_limit_exceeded"): 50}
    assert asked.requests == 10
    assert crowd.counted() == (10, asked.tokens, 0)
    return f"10 of 60 answered, {asked.most_at_once} at once at the provider"


def ten_thousand_tokens(crowd: Crowd, provider: DemoServer) -> str:
    """100 streams at once of up to 500 tokens each, with 10,000 left. The estimate of these prompts errs high only."""
    answers = Counter(crowd.at_once(100, "words=500", patience_s=90, max_tokens=STREAM_TOKENS, stream=True))
    asked = served(provider, crowd.marker)
    assert answers.keys() == {OK, (429, "insufficient_quota")}
    assert 0.95 * TOKENS <= asked.tokens <= TOKENS
    assert crowd.counted() == (asked.requests, asked.tokens, 0)
    return f"{asked.tokens} of {TOKENS} tokens in {asked.requests} of 100 streams, {asked.most_at_once} at once"


def two_at_once(crowd: Crowd, provider: DemoServer) -> str:
    """10 requests at once from a user who may have 2 in flight, each sent again until it is answered."""
    answers = Counter(crowd.at_once(10, "words=5 delay_ms=150", patience_s=60, max_tokens=20))
    asked = served(provider, crowd.marker)
    assert answers == {OK: 10}
    assert (asked.requests, asked.most_at_once) == (10, 2)
    assert crowd.counted() == (10, asked.tokens, 0)
    return "10 of 10 answered, 2 at once"


Case = Callable[[Crowd, DemoServer], str]
CASES: list[tuple[Case, str | None]] = [
    (room_for_fifty, "fifty"),
    (first_requests, None),
    (ten_thousand_tokens, "ten-thousand-tokens"),
    (two_at_once, "two-at-once"),
]


@pytest.mark.parametrize(("case", "tier"), CASES)
def test_a_crowd_gets_what_is_left_and_not_one_more(
    case: Case, tier: str | None, gateway: Gateway, demo_server: DemoServer, new_user: NewUser, marker: str
) -> None:
    wait_out_the_turn_of_the_hour()
    user = new_user(tier) if tier else f"user-{secrets.token_hex(6)}"
    print(case(Crowd([gateway.url], user, marker), demo_server))


@pytest.fixture(scope="module")
def two_instances(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[list[Gateway]]:
    with instances(tmp_path_factory.mktemp("instances"), demo_server.url) as gateways:
        yield gateways


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("case", "tier"), CASES)
def test_over_two_instances_of_two_workers_too_ten_times_out_of_ten(
    case: Case, tier: str | None, two_instances: list[Gateway], demo_server: DemoServer
) -> None:
    workers = [worker for gateway in two_instances for worker in gateway.workers()]
    before = [sum(worker.cpu_times()[:2]) for worker in workers]
    for _ in range(RUNS):
        wait_out_the_turn_of_the_hour(120)
        user = f"user-{secrets.token_hex(6)}"
        if tier:
            with two_instances[0].client() as http:
                assert http.post("/user/new", json={"user_id": user, "tier": tier}).status_code == 200
        print(case(Crowd([gateway.url for gateway in two_instances], user, f"marker-{user}"), demo_server))
    spent = [sum(worker.cpu_times()[:2]) - start for worker, start in zip(workers, before, strict=True)]
    print("CPU seconds of the workers:", *(f"{seconds:.1f}" for seconds in spent))
    # Every process had its part in it.
    assert len(spent) == 4
    assert min(spent) > 0.05 * sum(spent)
