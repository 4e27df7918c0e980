"""Limits of users against the whole gateway: real launcher, LiteLLM, store, and the command line."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import NewUser
from tests.e2e.gateways import ROOT, Gateway
from tests.launch.running import eventually

HELLO = [{"role": "user", "content": "Say hello. [[demo words=5]]"}]


def ask(http: httpx.Client, user: str, **more: Any) -> httpx.Response:
    body = {"model": "free-gemini-flash", "user": user, "messages": HELLO, **more}
    return http.post("/v1/chat/completions", json=body)


def scalix(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The operator's command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "scalix", *arguments],
        cwd=ROOT,
        env=gateway.environment() | {"COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_an_override_holds_for_the_next_request_and_a_reset_gives_room_back(
    http: httpx.Client, new_user: NewUser
) -> None:
    user = new_user("roomy")
    assert ask(http, user).status_code == 200
    put = http.put("/user/limits", json={"user_id": user, "limits": {"requests": {"month": 2}}})
    assert put.status_code == 200
    last = ask(http, user)
    assert last.headers["x-ratelimit-remaining-requests"] == "0"
    assert last.headers["x-scalix-warning"].startswith("requests-month 100%; upgrade=https://")
    refused = ask(http, user, stream=True)
    assert (refused.status_code, refused.json()["error"]["scalix"]["limit"]) == (429, "requests-month")
    reset = http.post("/user/reset", json={"user_id": user, "windows": ["requests-month"]})
    assert reset.json()["undone"] == {"requests-month": 2}
    again = ask(http, user)
    assert (again.status_code, again.headers["x-ratelimit-remaining-requests"]) == (200, "1")


def test_a_new_tier_keeps_what_was_used(http: httpx.Client, new_user: NewUser) -> None:
    user = new_user("roomy")
    answer = ask(http, user)
    tokens = answer.json()["usage"]["total_tokens"]
    assert http.post("/user/update", json={"user_id": user, "tier": "thousand-tokens"}).status_code == 200
    limits = {entry["limit"]: entry for entry in http.get(f"/user/limits?user_id={user}").json()["limits"]}
    assert (limits["tokens-day"]["limit_value"], limits["tokens-day"]["used"]) == (1000, tokens)
    after = ask(http, user)
    assert after.headers["x-ratelimit-remaining-tokens"] == str(1000 - tokens - after.json()["usage"]["total_tokens"])


def test_the_shadow_is_named_on_the_answer_and_counted(http: httpx.Client, new_user: NewUser) -> None:
    user = new_user("shadow")

    def refusals() -> int:
        counts = http.get("/scalix/v1/shadow?days=2").json()["would_have_refused"]
        return sum(item["requests"] for item in counts if (item["tier"], item["limit"]) == ("shadow", "requests-hour"))

    before, hour = refusals(), datetime.now(UTC).hour
    first, second = ask(http, user), ask(http, user)
    if datetime.now(UTC).hour != hour:
        pytest.skip("an hour began while this test ran")
    assert "x-scalix-shadow" not in first.headers
    assert (second.status_code, second.headers["x-scalix-shadow"]) == (200, "requests-hour")
    assert refusals() == before + 1


def test_the_operators_command_shows_sets_and_resets(gateway: Gateway, http: httpx.Client, new_user: NewUser) -> None:
    user = new_user("roomy")
    assert ask(http, user).status_code == 200
    done = scalix(gateway, "limits", "set", user, "requests-month=1", "tokens-day=unlimited", "concurrent=5")
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(http, user).status_code == 429

    shown = scalix(gateway, "limits", "show", user)
    rows = {line.split()[0]: line.split() for line in shown.stdout.splitlines() if line.strip()}
    assert rows["requests-month"][1:4] == ["1", "1", "0"]
    assert rows["requests-month"][-1] == "own"
    assert rows["requests-day"][2] == "1,000,000"
    assert rows["requests-day"][-1] == "tier"
    assert rows["tokens-day"][2] == "unlimited"

    reset = scalix(gateway, "limits", "reset", user, "requests-month")
    assert reset.stdout.splitlines()[-1] == "given back: requests-month 1"
    assert ask(http, user).status_code == 200
    as_json = json.loads(scalix(gateway, "limits", "set", user, "--clear", "requests-day=7", "--json").stdout)
    assert as_json["overrides"] == {"requests": {"day": 7}}
    wrong = scalix(gateway, "limits", "set", user, "requests-day=-1")
    assert wrong.returncode == 1
    assert "'limits.requests.day' is not 0 or a positive whole number" in wrong.stderr
    assert scalix(gateway, "limits", "reset", user).returncode == 1
    assert scalix(gateway, "limits", "shadow").returncode == 0
    unknown = scalix(gateway, "limits", "show", "nobody-of-this-name")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "is not known" in unknown.stderr
    assert gateway.master_key not in shown.stdout + reset.stdout + wrong.stderr + unknown.stderr


def test_acts_are_in_the_log_and_the_key_is_not(gateway: Gateway, http: httpx.Client, new_user: NewUser) -> None:
    user = new_user()
    limits = http.put("/user/limits", json={"user_id": user, "limits": {"requests": {"hour": 4}}})
    reset = http.post("/user/reset", json={"user_id": user, "windows": "all"})
    requests = [answer.headers["x-request-id"] for answer in (limits, reset)]

    def lines_of_acts() -> list[str]:
        audited = [line for line in gateway.log_text().splitlines() if "audit: " in line]
        return [line for line in audited if any(request in line for request in requests)]

    eventually(lambda: len(lines_of_acts()) >= 2, "two lines in the log")
    lines = lines_of_acts()
    assert "audit: user.limits of user:p-" in lines[0]
    assert "audit: user.reset of user:p-" in lines[1]
    assert user not in "".join(lines)  # the log names nobody
    assert gateway.master_key not in "".join(lines)


def test_a_reload_changes_a_tier_without_a_restart(gateway: Gateway, http: httpx.Client, new_user: NewUser) -> None:
    user = new_user("fifty")
    assert ask(http, user).headers["x-ratelimit-limit-requests"] == "50"
    config = gateway.folder / "config.yaml"
    before = config.read_text()
    try:
        config.write_text(before.replace("day: 50\n", "day: 51\n").replace("{day: 50}", "{day: 51}"))
        assert config.read_text() != before
        done = gateway.command("--reload")
        assert (done.returncode, done.stderr) == (0, "")
        after = ask(http, user)
        assert after.headers["x-ratelimit-limit-requests"] == "51"
        assert after.headers["x-ratelimit-remaining-requests"] == "49"
    finally:
        config.write_text(before)
        assert gateway.command("--reload").returncode == 0
    assert ask(http, user).headers["x-ratelimit-limit-requests"] == "50"
