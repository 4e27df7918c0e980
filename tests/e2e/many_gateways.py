"""Three gateways of two workers each, with one store, in front of three places of a scripted provider."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.gateways import Gateway, instances
from tests.e2e.scripted_provider import Answer, Provider
from tests.e2e.test_deployments import entry
from tests.e2e.test_who_is_to_blame import proper

MODELS = ("free-many", "free-many-by-litellm")
WEIGHTS = {"a": 3, "b": 2, "c": 1}
SECTION = {"cooldown": {"failures": 3, "within_s": 30, "seconds": 60}}


class Script:
    """What the provider does at each place: by default it answers properly. `times` are those of its requests."""

    def __init__(self) -> None:
        self.by_place: dict[str, Callable[[dict[str, Any]], Answer]] = {}
        self.times: list[tuple[float, str]] = []

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        self.times.append((time.monotonic(), path[1]))
        made = self.by_place.get(path[1])
        return made(body) if made else proper(path[2:], body)

    def shares(self, since_s: float = 0.0) -> Counter[str]:
        return Counter(place for at_s, place in self.times if at_s >= since_s)


@contextmanager
def three(
    folder: Path, provider: Provider, strategy: str = "simple-shuffle", *, weighted: bool = False
) -> Iterator[list[Gateway]]:
    """Three gateways with a model for each engine at three places of the provider."""
    models = [
        entry(name, "openai/m", f"{provider.url}/{place}", **({"weight": weight} if weighted else {}))
        for name in MODELS
        for place, weight in WEIGHTS.items()
    ]
    for one in models:
        one["model_info"] |= {"engine": "litellm"} if one["model_name"] == MODELS[1] else {}
    router = {"routing_strategy": strategy}
    with instances(folder, provider.url, number=3, models=models, section=SECTION, router_settings=router) as made:
        yield made


@contextmanager
def clients(gateways: Iterable[Gateway], each: int = 8) -> Iterator[list[httpx.Client]]:
    """Connections of their own to each gateway, so that all its workers have some; one gateway after the other."""
    with ExitStack() as stack:
        rows = [[stack.enter_context(gateway.client()) for gateway in gateways] for _ in range(each)]
        yield list(itertools.chain.from_iterable(rows))


def ask(http: httpx.Client, text: str = "hi", **more: Any) -> int:
    body = {"model": "free-many", "messages": [{"role": "user", "content": text}], "max_tokens": 50, **more}
    return http.post("/v1/chat/completions", json=body).status_code


def ask_all(made: list[httpx.Client], requests: int, at_once: int) -> Counter[int]:
    """The statuses of so many requests, over all connections in turn."""
    if at_once == 1:
        return Counter(ask(made[number % len(made)]) for number in range(requests))
    with ThreadPoolExecutor(at_once) as pool:
        return Counter(pool.map(lambda number: ask(made[number % len(made)]), range(requests)))


def make_users(gateways: list[Gateway], names: Iterable[str]) -> None:
    """Users who may use everything, also while the store is slow to answer."""
    with gateways[0].client() as http:
        for name in names:
            assert http.post("/user/new", json={"user_id": name, "tier": "premium"}).status_code == 200
