"""Takes the pictures of docs/pages.md: `make screenshots`.

They are of a month of made up data in a store of its own, by a gateway over it, in Chromium.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scalix.launch.http_client import Client  # noqa: E402
from scalix.launch.processes.ports import reserve_port  # noqa: E402
from scalix.launch.processes.runfile import read_run_file  # noqa: E402

FOLDER = ROOT / "docs" / "images"
START = ROOT / "start_scalix_litellm.py"


def main() -> int:
    """Returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        state_dir, key = Path(folder) / "state", f"sk-{secrets.token_hex(16)}"
        environ = {
            **os.environ,
            "SCALIX_STATE_DIR": str(state_dir),
            "LITELLM_MASTER_KEY": key,
            "SCALIX_ENV": "development",
        }
        environ["LITELLM_LOG_FILE"] = str(Path(folder) / "gateway.log")
        subprocess.run([sys.executable, ROOT / "tools" / "demo_data.py"], env=environ, check=True)
        with reserve_port("127.0.0.1", 0) as free:
            port = free.getsockname()[1]
        command = [sys.executable, START, "--demo", "--workers", "1", "--port", str(port)]
        subprocess.run([*command, "--detach"], env=environ, check=True)
        try:
            run = read_run_file(state_dir)
            if run is None:
                return 1
            shoot(run.url, Client(run.url, key), key)
        finally:
            subprocess.run([sys.executable, START, "--stop", "--now"], env=environ, check=False)
    return 0


def shoot(url: str, client: Client, key: str) -> None:
    """Take them all."""
    page: dict[str, Any] = client.get("/scalix/v1/reports/today").json
    yesterday = page["series"][-2]["date"]
    top = client.get("/scalix/v1/reports/top?by=cost&limit=50").json["rows"]
    tiers = {
        one["user_id"]: client.get(f"/user/info?{urlencode({'user_id': one['user_id']})}").json["tier"] for one in top
    }
    user = next(name for name, tier in tiers.items() if tier == "pro")
    own = client.post("/key/generate", {"user_id": user, "key_alias": "screenshots"}).json["key"]
    operator, theirs = {"key": key, "door": "/ui/sign-in"}, {"key": own, "door": "/me/sign-in"}
    wide, narrow = {"theme": "light", "width": 1280, "height": 1000}, {"theme": "light", "width": 390, "height": 900}
    shots = [
        {"path": f"/ui?day={yesterday}", "file": "today.png", **operator, **wide},
        {"path": f"/ui?day={yesterday}", "file": "today-dark.png", **operator, **wide, "theme": "dark"},
        {"path": f"/ui/users/{user}", "file": "user.png", **operator, **wide},
        {"path": "/ui/requests", "file": "requests.png", **operator, **wide, "height": 800},
        {"path": "/me", "file": "me.png", **theirs, **wide, "height": 900},
        {"path": "/me", "file": "me-narrow.png", **theirs, **narrow},
    ]
    FOLDER.mkdir(exist_ok=True)
    asked = json.dumps({"base": url, "folder": str(FOLDER), "shots": shots})
    driver = ROOT / ".venv-browser" / "bin" / "python"
    subprocess.run([driver, ROOT / "tools" / "shoot.py"], input=asked, text=True, check=True)


if __name__ == "__main__":
    sys.exit(main())
