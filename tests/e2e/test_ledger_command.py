"""`scalix ledger` against a running gateway: what is wrong is shown, mended and exported."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from tests.demo_server import DemoServer
from tests.e2e.calls import Bench
from tests.e2e.gateways import ROOT, Gateway
from tests.e2e.ledger_soak import store_of


def scalix(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The operator's command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "scalix", "ledger", *arguments],
        cwd=ROOT,
        env=gateway.environment() | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_counter_that_was_changed_is_shown_and_mended(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], marker: str
) -> None:
    user = new_user("roomy")
    bench = Bench(gateway, demo_server, http, user, marker)
    ids = {bench.post("chat", "words=5").headers["x-request-id"] for _ in range(3)}
    right = bench.counted()
    with store_of(gateway) as client:
        (name,) = client.scan_iter(f"scalix:{{s*:w:user:{user}")
        day = next(field for field in client.hkeys(name) if field.startswith("d"))
        client.hset(name, day, "777 1 1 0 0 0")
    assert bench.counted()[0] == 777
    found = scalix(gateway, "verify", "--user", user)
    assert found.returncode == 1, found.stderr
    assert f"user:{user}" in found.stdout
    assert "777 1 1 0 0 0" in found.stdout
    dry = scalix(gateway, "repair", "--user", user, "--dry-run")
    assert (dry.returncode, "777 1 1 0 0 0" in dry.stdout) == (0, True)
    assert bench.counted()[0] == 777
    done = scalix(gateway, "repair", "--user", user)
    assert (done.returncode, "mended: 1" in done.stdout) == (0, True), done.stdout
    assert bench.counted() == right
    whole = scalix(gateway, "verify", "--user", user)
    assert (whole.returncode, "nothing differs" in whole.stdout) == (0, True)
    exported = [json.loads(line) for line in scalix(gateway, "export").stdout.splitlines()]
    of_user = [event for event in exported if event["subject"] == f"user:{user}"]
    assert {event["id"] for event in of_user} == ids
    assert sum(event["tokens"] for event in of_user) == right[1]
    assert marker not in json.dumps(exported)


def test_its_state_and_what_it_can_not_do_are_said_in_one_line(gateway: Gateway) -> None:
    status = scalix(gateway, "status")
    assert status.returncode == 0, status.stderr
    assert "MiB of" in status.stdout
    assert "events 35 days, by hour 35, by day 400" in status.stdout
    nothing = scalix(gateway, "archive")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1)
    assert "Say what is old" in nothing.stderr
    none = scalix(gateway, "archive", "--after-days", "20")
    assert (none.returncode, none.stdout) == (0, "no day is that old\n")
    wrong = scalix(gateway, "verify", "--day", "soon")
    assert (wrong.returncode, "'day' must be a date such as" in wrong.stderr) == (1, True)
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    assert json.loads(scalix(gateway, "verify", "--day", today, "--user", "nobody", "--json").stdout)["whole"] is True
