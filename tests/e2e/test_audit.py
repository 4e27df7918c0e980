"""The audit log, users and secrets against the whole gateway: the command line, and LiteLLM's own client."""

import json
import secrets
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from litellm.proxy.client.exceptions import NotFoundError, UnauthorizedError
from litellm.proxy.client.users import UsersManagementClient

from tests.e2e.conftest import NewUser
from tests.e2e.gateways import ROOT, Gateway
from tests.launch.running import eventually


def scalix(gateway: Gateway, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The operator's command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "scalix", *arguments],
        cwd=ROOT,
        env=gateway.environment() | {"COLUMNS": "200"} | environ,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_the_log_of_a_running_gateway_is_signed_and_whole(gateway: Gateway, new_user: NewUser) -> None:
    user = new_user("pro")
    done = scalix(gateway, "audit", "verify", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["whole"]
    assert report["signed"] == report["entries"] > 0
    last = f"{report['last_seq']}:{report['last_hash']}"
    told = scalix(gateway, "audit", "verify", "--known", last)
    assert (told.returncode, told.stdout.splitlines()[-1]) == (0, "no entry was removed or changed")
    wrong = scalix(gateway, "audit", "verify", "--known", f"{report['last_seq']}:{'0' * 64}")
    assert wrong.returncode == 1
    assert f"entry {report['last_seq']} is not the one that you know" in wrong.stdout
    other = scalix(gateway, "audit", "verify", SCALIX_AUDIT_KEY="another-key-0123456789abcdef012345")
    assert (other.returncode, "SCALIX_AUDIT_KEY lacks the key" in other.stdout) == (1, True)
    shown = scalix(gateway, "audit", "list", "--object", f"user:{user}", "--limit", "5")
    assert [word in shown.stdout for word in (user, "user.new", "operator:master", "127.0.0.1")] == [True] * 4
    assert scalix(gateway, "audit", "verify", "--known", "x").returncode == 2


def test_the_key_of_the_audit_log_may_stand_in_the_env_file(
    gateway: Gateway, new_user: NewUser, tmp_path: Path
) -> None:
    new_user("pro")
    environment = gateway.environment()
    env_file = tmp_path / "gateway.env"
    env_file.write_text(f"SCALIX_AUDIT_KEY={environment.pop('SCALIX_AUDIT_KEY')}\n", encoding="utf-8")
    command = (sys.executable, "-m", "scalix", "audit", "verify", "--json", "--env-file", str(env_file))
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)
    report = json.loads(done.stdout)
    assert report["signed"] == report["entries"] > 0


def test_a_wrong_token_is_in_the_log_within_seconds(gateway: Gateway, http: httpx.Client) -> None:
    token = f"sk-canary-{secrets.token_hex(8)}"
    newest = http.get("/scalix/v1/audit", params={"limit": 1}).json()["entries"]
    before = newest[0]["seq"] if newest else 0
    with gateway.client(token) as stranger:
        assert stranger.get("/v1/models/marker").status_code == 401

    def found() -> bool:
        entries = http.get("/scalix/v1/audit", params={"act": "identity.refused"}).json()["entries"]
        return any(entry["seq"] > before for entry in entries)

    eventually(found, "the refusal in the audit log")
    assert token not in http.get("/scalix/v1/audit", params={"limit": 500}).text
    assert token not in gateway.log_text()


def test_users_are_made_shown_changed_listed_and_deleted(gateway: Gateway) -> None:
    name = f"user-{secrets.token_hex(6)}"
    new = scalix(gateway, "user", "new", name, "--tier", "pro", "--email", "a@example.com", "--json")
    assert (new.returncode, json.loads(new.stdout)["tier"]) == (0, "pro")
    update = scalix(gateway, "user", "update", name, "--block", "--tier", "default", "--metadata", '{"plan": "x"}')
    assert (update.returncode, update.stderr) == (0, "")
    shown = scalix(gateway, "user", "show", name)
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["tier", "free"] in rows
    assert ["blocked", "yes"] in rows
    assert ["metadata", '{"plan":', '"x"}'] in rows
    listed = json.loads(scalix(gateway, "user", "list", "--page-size", "100", "--json").stdout)
    assert listed["total"] >= 1
    assert "users, page 1 of" in scalix(gateway, "user", "list").stdout
    deleted = scalix(gateway, "user", "delete", name)
    assert (deleted.returncode, deleted.stdout) == (0, f"deleted: {name}\n")
    gone = scalix(gateway, "user", "show", name)
    assert (gone.returncode, "is not known" in gone.stderr) == (1, True)
    assert scalix(gateway, "user", "new", name, "--tier", "gold").returncode == 1
    assert scalix(gateway, "user", "update", name, "--metadata", "[]").returncode == 2


def test_litellms_own_client_manages_users(gateway: Gateway) -> None:
    client = UsersManagementClient(gateway.url, gateway.master_key)
    name = f"user-{secrets.token_hex(6)}"
    made = client.create_user({"user_id": name, "user_email": "a@example.com", "user_role": "internal_user"})
    assert (made["user_id"], made["metadata"]) == (name, {"user_email": "a@example.com"})
    unnamed = client.create_user({"user_email": "b@example.com"})["user_id"]
    assert client.get_user(name)["user_info"]["user_email"] == "a@example.com"
    assert client.get_user_v2(name)["user_id"] == name
    listed = client.list_users({"user_ids": f"{name},{unnamed}"})
    assert sorted(user["user_id"] for user in listed) == sorted([name, unnamed])
    assert client.list_users()
    assert client.delete_user([name, unnamed]) == {"deleted": [name, unnamed]}
    with pytest.raises(NotFoundError):
        client.get_user(name)
    with pytest.raises(UnauthorizedError):
        UsersManagementClient(gateway.url, "sk-wrong").list_users()
