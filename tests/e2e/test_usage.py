"""Usage at the running gateway: what users are told equals the provider's own log; by HTTP, command and Python."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx

from tests.demo_server import DemoServer
from tests.e2e.calls import PATHS, WAYS, body_of
from tests.e2e.gateways import METRICS_TOKEN, ROOT, Gateway

NewUser = Callable[..., str]
USAGE, EVENTS = "/scalix/v1/usage", "/scalix/v1/usage/events"


def key_of(http: httpx.Client, user: str) -> str:
    answer = http.post("/key/generate", json={"user_id": user})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key"])


def run(gateway: Gateway, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "scalix", "--url", gateway.url, *arguments],
        env={"PATH": os.environ["PATH"], "LITELLM_MASTER_KEY": gateway.master_key, "COLUMNS": "200"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def python(gateway: Gateway, code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process that knows nothing of the gateway but its state directory."""
    kept = {name: value for name, value in gateway.environment().items() if not name.startswith("LITELLM")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(ROOT)},
        cwd=gateway.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_usage_on_every_way_equals_the_providers_log(
    gateway: Gateway, http: httpx.Client, new_user: NewUser, marker: str, demo_server: DemoServer
) -> None:
    user = new_user("roomy")
    with gateway.client(key_of(http, user)) as client:
        for route, model, stream in WAYS:
            answer = client.post(PATHS[route], json=body_of(route, marker, model=model, stream=stream))
            assert answer.status_code == 200, answer.text
        log = demo_server.requests(contains=marker, settled=len(WAYS))
        usage = client.get(USAGE).json()
        page = client.get(EVENTS, params={"limit": 1000}).json()
    tokens = sum(entry["prompt_tokens"] + entry["completion_tokens"] for entry in log)
    assert (usage["requests_today"], usage["requests_this_hour"], usage["tokens_today"]) == (
        len(WAYS),
        len(WAYS),
        tokens,
    )
    assert sum(day["tokens"] for day in usage["by_day"]) == tokens
    assert sum(model["requests"] for model in usage["by_model"]) == len(WAYS)
    events = page["events"]
    assert (len(events), page["next_cursor"], len({event["id"] for event in events})) == (len(WAYS), None, len(WAYS))
    assert sum(event["tokens"] for event in events) == tokens
    assert sorted(event["tokens"] for event in events) == sorted(
        entry["prompt_tokens"] + entry["completion_tokens"] for entry in log
    )
    assert sum(event["stream"] for event in events) == sum(stream for _, _, stream in WAYS)
    assert round(sum(event["cost_usd"] for event in events), 9) == round(usage["cost_today_usd"], 9)


def test_another_users_usage_is_not_to_be_seen(gateway: Gateway, http: httpx.Client, new_user: NewUser) -> None:
    ann, ben = new_user("roomy"), new_user("roomy")
    keys = {user: key_of(http, user) for user in (ann, ben)}
    with gateway.client(keys[ben]) as client:
        asked = client.post(PATHS["chat"], json=body_of("chat", "hello", model="gpt-4"))
        events = client.get(EVENTS).json()["events"]
    assert [event["id"] for event in events] == [asked.headers["x-request-id"]]
    with gateway.client(keys[ann]) as client:
        for query in ({"user_id": ben}, {"user_id": f"user:{ben}"}):
            for path in (USAGE, EVENTS):
                assert client.get(path, params=query).status_code == 403
        assert client.get(EVENTS).json() == {"events": [], "next_cursor": None}
        assert client.get(USAGE).json()["requests_today"] == 0


def test_the_command_shows_usage_and_reports(gateway: Gateway, http: httpx.Client, new_user: NewUser) -> None:
    user = new_user("roomy")
    with gateway.client(key_of(http, user)) as client:
        assert client.post(PATHS["chat"], json=body_of("chat", "hello", model="gpt-4")).status_code == 200
    assert "1 requests" in run(gateway, "usage", user)
    assert json.loads(run(gateway, "usage", user, "--json", "--days", "1"))["requests_today"] == 1
    (event,) = json.loads(run(gateway, "usage", "events", user, "--json"))["events"]
    assert event["id"] in run(gateway, "usage", "events", user)
    (row,) = csv.DictReader(
        io.StringIO(run(gateway, "usage", "events", "--user", user, "--csv", "--outcome", "success"))
    )
    assert row["id"] == event["id"]
    for name in ("day", "tier", "model", "provider", "errors", "margin", "top"):
        answer = json.loads(run(gateway, "report", name, "--json"))
        assert answer["report"] == name
    assert "roomy" in run(gateway, "report", "tier")
    assert "gpt-4" in run(gateway, "report", "user", user)
    assert run(gateway, "report", "top", "--by", "cost", "--csv").startswith("rank,user_id,provider_cost_usd")


def test_python_without_the_gateways_process_tells_the_same(
    gateway: Gateway, http: httpx.Client, new_user: NewUser
) -> None:
    user = new_user("fifty")
    with gateway.client(key_of(http, user)) as client:
        assert client.post(PATHS["chat"], json=body_of("chat", "hello")).status_code in (200, 403)
        assert client.post(PATHS["chat"], json=body_of("chat", "hello", model="free-gemini-flash")).status_code == 200
        told = client.get(USAGE).json()
    code = (
        "import json, sys\n"
        "from scalix_callbacks import cost_calculator, rate_limiter, usage_tracker\n"
        f"print(json.dumps([usage_tracker.get_user_usage({user!r}), rate_limiter.check({user!r}, 'gpt-4'),\n"
        f"  usage_tracker.track_usage({user!r}, 'gpt-4', {{'prompt_tokens': 5, 'completion_tokens': 2}}),\n"
        f"  usage_tracker.get_user_usage({user!r})]))\n"
        "assert not any(name.split('.')[0] == 'litellm' for name in sys.modules)\n"
    )
    done = python(gateway, code)
    assert done.returncode == 0, done.stderr
    before, check, tracked, after = json.loads(done.stdout)
    names = ("user_id", "tier", "requests_today", "tokens_today", "requests_this_hour", "cost_today_usd")
    assert {name: before[name] for name in names} == {name: told[name] for name in names}
    assert before["limits"] == {"requests-day": 50}
    assert before["remaining"] == {"requests-day": 50 - told["requests_today"]}
    assert before["resets"]["requests-day"].endswith("T00:00:00Z")
    assert (check["allowed"], tracked["status"], tracked["tokens"]) == (True, "settled", 7)
    assert after["requests_today"] == before["requests_today"] + 1
    events: list[dict[str, Any]] = http.get(EVENTS, params={"user_id": user}).json()["events"]
    assert events[0]["id"] == tracked["request_id"]


def test_metrics_are_not_for_everybody(gateway: Gateway, http: httpx.Client) -> None:
    assert httpx.get(f"{gateway.url}/metrics", trust_env=False).status_code == 401
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert "scalix_store_up 1.0" in answer.text
    assert "user-" not in answer.text
    with gateway.client(METRICS_TOKEN) as scraper:
        assert scraper.get("/metrics").status_code == 200
        for path in ("/v1/models", USAGE, "/user/list", "/key/list", "/scalix/v1/audit"):
            assert scraper.get(path).status_code == 401
    assert METRICS_TOKEN not in gateway.log_text()
