"""How much of long conversations providers have cached, where three gateways share one store."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.many_gateways import WEIGHTS, make_users, three
from tests.e2e.prefix_caches import PrefixCaches
from tests.e2e.scripted_provider import scripted

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
CONVERSATIONS, TURNS, AT_ONCE = 72, 20, 36
WORDS = "parse the line count words keep types return early value list print index error test while".split()  # noqa: SIM905


def converse(gateways: list[Gateway], number: int) -> None:
    """All turns of a conversation, each at another gateway. A turn is of some 1,000 tokens."""
    mine = random.Random(number)
    said = [{"role": "system", "content": f"conversation {number}: " + " ".join(mine.choices(WORDS, k=400))}]
    for turn in range(TURNS):
        said.append({"role": "user", "content": " ".join(mine.choices(WORDS, k=760))})
        with gateways[(number + turn) % len(gateways)].client() as http:
            body = {"model": "free-many", "messages": said, "max_tokens": 20, "user": f"talker-{number}"}
            answer = http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        said.append(answer.json()["choices"][0]["message"])


@pytest.mark.parametrize(("strategy", "least", "most"), [("simple-shuffle", 0.9, 1.0), ("least-busy", 0.0, 0.7)])
def test_conversations_find_what_is_cached_of_them(strategy: str, least: float, most: float, tmp_path: Path) -> None:
    caches = PrefixCaches(capacity_tokens=300_000)
    with scripted(caches.answer) as provider, three(tmp_path, provider, strategy) as gateways:
        make_users(gateways, [f"talker-{number}" for number in range(CONVERSATIONS)])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda number: converse(gateways, number), range(CONVERSATIONS)))
    share = caches.cached_tokens / caches.cacheable_tokens
    skew = max(caches.requests.values()) * len(WEIGHTS) / caches.requests.total()
    print(f"{strategy}: {100 * share:.1f} % of {caches.cacheable_tokens:,} cacheable tokens, skew {skew:.2f}")
    assert caches.requests.total() == CONVERSATIONS * TURNS
    assert least <= share <= most
    assert skew <= 1.5
