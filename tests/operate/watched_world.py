"""A gateway with a provider that does as its places are named, a store and a real Prometheus that watches it."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from tests.e2e.scripted_provider import Answer, Provider, scripted, whole
from tests.e2e.test_who_is_to_blame import proper
from tests.operate.tools import ROOT
from tests.operate.watching import Prometheus, Watched, prometheus, soon
from tests.store.servers import Server, free_ports, running

PLACES = ("steady", "saved", "dead", "greedy", "slow", "late", "checked")
HPA = ROOT / "deploy" / "kubernetes" / "autoscaling.yaml"
FAILS: dict[str, int] = {}
"""The places of the provider that fail, with the status of their answer."""


def answer(path: str, body: dict[str, Any]) -> Answer:
    place = path.split("/")[1]
    if place in FAILS:
        return whole({"error": {"message": "no", "type": "api_error"}}, FAILS[place])
    if place == "slow":
        time.sleep(4)
    if place == "late":
        time.sleep(11)
    made = proper(path, body)
    if body.get("stream"):
        return stream()
    if place == "greedy":
        (text,) = made.pieces
        value = orjson.loads(text)
        value["usage"] = {"prompt_tokens": 7, "completion_tokens": 5_000, "total_tokens": 5_007}
        return whole(value)
    return made


def stream() -> Answer:
    def chunk(**more: Any) -> bytes:
        return b"data: " + orjson.dumps(
            {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **more}
        )

    said = [{"index": 0, "delta": {"role": "assistant", "content": "hello"}, "finish_reason": None}]
    over = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    parts = [chunk(choices=said), chunk(choices=over), chunk(choices=[], usage=usage), b"data: [DONE]"]
    return Answer(200, [part + b"\n\n" for part in parts], (("content-type", "text/event-stream"),))


def config(**section: Any) -> str:
    entry = {"input_cost_per_token": 0.000001, "output_cost_per_token": 0.000002, "max_output_tokens": 1000}
    models = [
        {
            "model_name": place,
            "litellm_params": {
                "model": "openai/m",
                "api_base": f"${{TEST_PROVIDER_ROOT}}/{place}/v1",
                "api_key": "${TEST_PROVIDER_KEY}",
            },
            "model_info": entry,
        }
        for place in PLACES
    ]
    tier = {"models": ["*"], "tokens": {"day": 100_000_000}, "requests": {"day": 1_000_000}}
    known = {
        "default_tier": "free",
        "tiers": {"free": {**tier, "on_store_failure": "allow"}, "small": {"models": ["*"], "requests": {"day": 1}}},
        "cooldown": {"seconds": 5},
        "fallbacks": {"saved": ["steady"]},
        "overload": {"in_flight": 8, "wrong_key_delay_s": 0, "queue": {"requests": 4, "wait_s": 6}},
    }
    general = {
        "background_health_checks": True,
        "health_check_interval": 5,
        "background_health_check_model_groups": ["checked"],
    }
    return json.dumps({"model_list": models, "general_settings": general, "scalix": {**known, **section}})


class World:
    def __init__(self, folder: Path, store: Server, provider: Provider, watching: Prometheus) -> None:
        self.folder, self.store, self.provider, self.watching = folder, store, provider, watching
        self.one = self.gateway("one", config()).start()
        watching.watch(self.one)

    def gateway(self, name: str, text: str) -> Watched:
        return Watched(
            self.folder / name,
            self.provider.url,
            options=("--workers", "2"),
            extra={"REDIS_URL": self.store.url},
            config=text,
        )

    def fires(self, *names: str, within_s: float = 60) -> None:
        """Wait until these alerts fire."""
        wanted = set(names)
        soon(lambda: wanted <= self.watching.firing(), f"{wanted} do not fire", within_s=within_s)


@contextmanager
def watched(folder: Path) -> Iterator[World]:
    """All of it, running."""
    watching = prometheus(folder / "prometheus")
    with scripted(answer) as provider, running(Server(folder / "store", free_ports(1)[0])) as store:
        try:
            made = World(folder, store, provider, watching.start())
            yield made
            made.one.stop()
        finally:
            watching.stop()


def signal_of(series: str, over: str = "8s") -> str:
    """The query by which the adapter tells the autoscaler of a metric, over a time that a test can wait for."""
    text = (ROOT / "deploy" / "kubernetes" / "prometheus-adapter.yaml").read_text(encoding="utf-8")
    queries: dict[str, str] = dict(re.findall(r"name: {as: (\w+)}\s+metricsQuery: '([^']+)'", text))
    query = queries[series]
    for name, value in (("Series", series), ("GroupBy", "instance"), ("LabelMatchers", "")):
        query = query.replace(f"<<.{name}>>", value)
    assert "[1m]" in query
    return query.replace("[1m]", f"[{over}]")
