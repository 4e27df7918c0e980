"""Backups of a whole gateway: made when it is time, restored by command into the empty store of another start."""

import base64
import json
import secrets
import shutil
from pathlib import Path
from typing import Any

from tests.demo_server import DemoServer
from tests.e2e.gateways import METRICS_TOKEN, Gateway
from tests.e2e.loaded import hurried
from tests.e2e.test_audit import scalix
from tests.e2e.test_canaries import whole_store
from tests.launch.running import eventually

MODEL = "free-gemini-flash"


def figures(gateway: Gateway, users: list[str]) -> dict[str, Any]:
    with gateway.client() as http:
        return {
            user: [
                {**tally, "resets_at": ""} if isinstance(tally, dict) else tally
                for tally in [http.get("/user/info", params={"user_id": user}).json()["user_info"]]
            ]
            for user in users
        }


def backup_age_s(gateway: Gateway) -> int | None:
    age: int | None = json.loads(gateway.command("--status", "--json").stdout).get("backup_age_s")
    return age


def test_a_lost_store_is_restored_to_the_last_figure_and_who_was_erased_stays_erased(
    tmp_path: Path, demo_server: DemoServer
) -> None:
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    section = {"backup": {"to": str(tmp_path / "backups"), "every_hours": 1}}
    extra = {"SCALIX_BACKUP_KEY": key, **hurried(tmp_path, BACKUPS_EVERY_S=0.2)}
    gateway = Gateway(tmp_path / "one", demo_server.url, section=section, extra=extra)
    erased, *users = [f"{name}@backups.example" for name in ("erased", "grace", "ada", "edsger")]
    gateway.start()
    try:
        with gateway.client() as http:
            for user in (erased, *users):
                assert http.post("/user/new", json={"user_id": user, "tier": "roomy"}).status_code == 200
                for _ in range(3):
                    body = {"model": MODEL, "user": user, "messages": [{"role": "user", "content": "words=5"}]}
                    assert http.post("/v1/chat/completions", json=body).status_code == 200
            # The one that was due at the start; then one by command, of what has happened since.
            eventually(lambda: (tmp_path / "backups").is_dir() and backup_age_s(gateway) is not None, "a backup", 40)
            made = scalix(gateway, "backup", "create", "--json")
            assert made.returncode == 0, made.stderr
            name = json.loads(made.stdout)["name"]
            before = figures(gateway, users)
            assert http.delete(f"/scalix/v1/users/{erased}").status_code == 200
            page = http.get("/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"}).text
            assert "scalix_store_backup_age_seconds" in page
        refused = scalix(gateway, "backup", "restore")
        assert (refused.returncode, "a gateway runs from here" in refused.stderr) == (2, True)
    finally:
        gateway.stop()
    shutil.rmtree(gateway.state_dir / "store")
    assert json.loads(scalix(gateway, "backup", "verify", name, "--json").stdout)["is_encrypted"]
    assert name in scalix(gateway, "backup", "list").stdout
    for path in (tmp_path / "backups").iterdir():
        assert b"example" not in path.read_bytes()
    without_key = scalix(gateway, "backup", "restore", name, SCALIX_BACKUP_KEY="")
    assert (without_key.returncode, "SCALIX_BACKUP_KEY is not set" in without_key.stderr) == (1, True)
    restored = scalix(gateway, "backup", "restore", name)
    assert restored.returncode == 0, restored.stderr
    assert "1 users who were erased since are erased again" in restored.stdout
    gateway.start()
    try:
        assert figures(gateway, users) == before
        assert json.loads(scalix(gateway, "ledger", "verify", "--json").stdout)["whole"]
        assert not [text for text in whole_store(gateway) if erased in text]
        again = scalix(gateway, "backup", "restore", name)
        assert (again.returncode, "a gateway runs from here" in again.stderr) == (2, True)
    finally:
        gateway.stop()
