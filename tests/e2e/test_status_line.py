"""The line for status bars, as docs/usage.md has it: the script is run, and what calls it can be read."""

import json
import os
import re
import stat
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.e2e.gateways import Gateway

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "usage.md").read_text("utf-8")
SECTION = PAGE.partition("### One line for status bars")[2].partition("\n## ")[0]


def snippet(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    assert found is not None
    return found[1]


def ran(folder: Path, gateway: Gateway, secret: str) -> subprocess.CompletedProcess[str]:
    script, key = folder / "scalix-line", folder / ".scalix-key"
    script.write_text(snippet("sh"), "utf-8")
    script.chmod(stat.S_IRWXU)
    key.write_text(f"{secret}\n", "utf-8")
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "SCALIX_URL": gateway.url}
    return subprocess.run([script], env=environ, input="{}", capture_output=True, text=True, timeout=20, check=False)


def test_the_script_of_the_docs_prints_the_line_of_its_key_and_nothing_with_a_wrong_one(
    gateway: Gateway, http: httpx.Client, new_user: Callable[..., str], tmp_path: Path
) -> None:
    key = http.post("/key/generate", json={"user_id": new_user()}).json()["key"]
    line = ran(tmp_path, gateway, key)
    assert line.returncode == 0, line.stderr
    assert re.fullmatch(r"\S+ · .* · \$0\.00\n", line.stdout)
    wrong = ran(tmp_path, gateway, "sk-scalix-wrong")
    assert (wrong.stdout, wrong.stderr) == ("", "")


def test_what_calls_the_script_can_be_read_by_whom_it_is_for() -> None:
    called = "~/.local/bin/scalix-line"
    assert json.loads(snippet("json"))["statusLine"]["command"] == called
    assert tomllib.loads(snippet("toml"))["custom"]["scalix"]["command"] == called
    assert f"#({called})" in SECTION
