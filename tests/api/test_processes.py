"""The names of `scalix_callbacks` in processes of their own, with a store and without."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalix.launch.config.config_file import read_config
from scalix.launch.config.policy_file import write_policy
from tests.api.test_tracking import CONFIG

ROOT = Path(__file__).resolve().parent.parent.parent
ONE_LINER = "from scalix_callbacks import usage_tracker; print(usage_tracker.get_user_usage('test_user'))"
# None of them is needed, and each costs more than all of our own code.
TOO_DEAR = ("litellm", "pydantic", "httpx", "rich", "ruamel", "fastapi", "uvicorn", "prometheus_client", "jwt")


def python(folder: Path, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    state = {"SCALIX_STATE_DIR": str(folder / "state"), "SCALIX_CONFIG": str(folder / "config.yaml")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **state, "PYTHONPATH": str(ROOT), **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def test_without_a_store_the_last_line_says_how_to_start_it(folder: Path) -> None:
    done = python(folder, ONE_LINER)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        f"scalix.api.errors.StoreNotRunning: the embedded store of {folder}/state is not running: "
        "start the gateway with `make run` or `python start_scalix_litellm.py`, or set REDIS_URL"
    )
    assert list(folder.iterdir()) == [folder / "config.yaml"]


def test_a_server_that_does_not_answer_is_told_without_its_password(folder: Path) -> None:
    done = python(folder, ONE_LINER, REDIS_URL="redis://:canary-password@127.0.0.1:1/0")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("scalix.api.errors.StoreNotRunning: the store at redis://***@127.0.0.1:1/0 does not answer")
    assert last.endswith("start it, or correct REDIS_URL or REDIS_HOST")
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"REDIS_PORT": "7000"}, "REDIS_PORT is set, but no server is"),
        ({"REDIS_URL": "unix:///nowhere", "SCALIX_CONFIG": "/nowhere.yaml"}, "/nowhere.yaml can't be read"),
    ],
)
def test_a_setup_that_is_wrong_is_told(folder: Path, environ: dict[str, str], what: str) -> None:
    last = python(folder, ONE_LINER, **environ).stderr.splitlines()[-1]
    assert last.startswith("scalix.api.errors.SetupError: ")
    assert what in last


@pytest.mark.parametrize(
    ("code", "last"),
    [
        (
            "from scalix_callbacks import cost_calculator as c; c.calculate_cost('gtp-4', {'prompt_tokens': 1})",
            "scalix.api.errors.UnknownPrice: the model 'gtp-4' is not configured: add it to model_list",
        ),
        (
            "from scalix_callbacks import cost_calculator as c; c.calculate_cost('Free Model', {'prompt_tokens': 1})",
            "scalix.api.errors.UnknownPrice: the model 'Free Model' is not configured: Did you mean 'free-model'?",
        ),
        (
            "from scalix_callbacks import usage_tracker as u; u.get_user_usage('')",
            "ValueError: 'user_id' must be a printable text of 1 to 256 characters.",
        ),
    ],
)
def test_an_error_ends_with_what_to_do_and_shows_none_of_our_inside(folder: Path, code: str, last: str) -> None:
    done = python(folder, code, REDIS_URL="redis://127.0.0.1:1/0")
    assert done.stderr.splitlines()[-1] == last
    assert "During handling" not in done.stderr
    assert "asyncio" not in done.stderr


@pytest.mark.parametrize("package", ["redis", "re2", "orjson"])
def test_a_python_without_a_package_says_what_to_install(folder: Path, package: str) -> None:
    done = python(
        folder, f"import sys; sys.modules['{package}'] = None\n{ONE_LINER}", REDIS_URL="redis://127.0.0.1:1/0"
    )
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: {sys.executable} has no package {package}: run {sys.executable} -m pip install -r "
        f"{ROOT}/requirements.lock, or use {ROOT}/.venv/bin/python"
    )
    assert "During handling" not in done.stderr


def test_with_a_store_and_a_policy_in_force_it_answers_and_loads_little(
    folder: Path, store_url: str, key_prefix: str
) -> None:
    write_policy(folder / "policy.json", 1, read_config(folder / "config.yaml", {}).policy)
    code = (
        "import json, sys\n"
        "from scalix_callbacks import usage_tracker\n"
        "found = usage_tracker.get_user_usage('test_user')\n"
        "print(json.dumps([found, sorted({name.split('.')[0] for name in sys.modules})]))\n"
    )
    environ = {"SCALIX_STORE_URL": store_url, "SCALIX_KEY_PREFIX": key_prefix}
    done = python(folder, code, SCALIX_POLICY=str(folder / "policy.json"), **environ)
    assert done.returncode == 0, done.stderr
    found, loaded = json.loads(done.stdout)
    assert (found["user_id"], found["tier"], found["requests_today"]) == ("test_user", "free", 0)
    assert not set(TOO_DEAR) & set(loaded)


def test_the_config_stands_in_for_a_policy_that_nobody_has_put_in_force(
    folder: Path, store_url: str, key_prefix: str
) -> None:
    done = python(folder, ONE_LINER, SCALIX_STORE_URL=store_url, SCALIX_KEY_PREFIX=key_prefix)
    assert done.returncode == 0, done.stderr
    assert "'tier': 'free'" in done.stdout


def test_errors_and_costs_need_no_store(folder: Path) -> None:
    code = (
        "import json, sys\n"
        "from scalix_callbacks import cost_calculator, error_handler\n"
        "usage = {'prompt_tokens': 10, 'completion_tokens': 5}\n"
        "print(json.dumps([error_handler.handle_error('ann', 'gpt-4', TimeoutError()),\n"
        "                  cost_calculator.calculate_cost('free-model', usage), 'redis' in sys.modules]))\n"
    )
    done = python(folder, code)
    assert done.returncode == 0, done.stderr
    handled, cost, loads_redis = json.loads(done.stdout)
    assert (handled["category"], cost, loads_redis) == ("timeout", 20e-6, False)


def test_a_name_that_is_none_is_an_attribute_error(folder: Path) -> None:
    done = python(folder, "import scalix_callbacks; scalix_callbacks.usage_trackr")
    assert done.stderr.splitlines()[-1].startswith("AttributeError")


def test_a_thread_that_nobody_ended_does_not_hold_up_the_process(folder: Path, store_url: str, key_prefix: str) -> None:
    code = (
        "import threading\n"
        "from scalix_callbacks import rate_limiter\n"
        "checks = [threading.Thread(target=rate_limiter.check, args=(f'u{n}',)) for n in range(8)]\n"
        "[one.start() for one in checks]; [one.join() for one in checks]\n"
        "print(rate_limiter.check('ann')['allowed'])\n"
    )
    done = python(folder, code, SCALIX_STORE_URL=store_url, SCALIX_KEY_PREFIX=key_prefix)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
