"""Installed by pip, without a checkout, `scalix` does what the scripts do, in the directory it is called in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launch.running import ROOT

UV = (sys.executable, "-m", "uv", "pip", "install", "-q", "--python", sys.executable, "--no-deps", "--offline")
LIBRARIES = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix that the built package is installed under; the packages it needs are those of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run((*UV, "--prefix", str(folder / "prefix"), str(wheel)), check=True, capture_output=True)
    return folder / "prefix"


class Installation:
    """The installed command, called in a directory of its own."""

    def __init__(self, prefix: Path, folder: Path) -> None:
        self.prefix, self.folder = prefix, folder

    def scalix(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        # The tiny app is the tests' own; nothing else of the checkout is on the path.
        tests = self.folder.parent / "tests"
        tests.mkdir(exist_ok=True)
        if not (tests / "tiny_app.py").exists():
            (tests / "tiny_app.py").symlink_to(ROOT / "tests" / "launch" / "tiny_app.py")
        own = {"PYTHONPATH": f"{self.prefix / LIBRARIES}:{tests}", "SCALIX_APP": "tiny_app:create_app"}
        return subprocess.run(
            (str(self.prefix / "bin" / "scalix"), *arguments),
            env=kept | own | {"LITELLM_MAX_WORKERS": "1"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def here(installed: Path, tmp_path: Path) -> Installation:
    folder = tmp_path / "here"
    folder.mkdir()
    return Installation(installed, folder)


def test_without_a_config_it_says_how_to_get_one(here: Installation) -> None:
    checked = here.scalix("check")
    assert checked.returncode == 2
    assert "scalix init" in checked.stderr
    assert len(checked.stderr.splitlines()) == 1


def test_init_writes_the_examples_and_leaves_what_is_there(here: Installation) -> None:
    assert here.scalix("init").returncode == 0
    config = here.folder / "litellm_proxy_config.yaml"
    assert config.read_bytes() == (ROOT / config.name).read_bytes()
    assert (here.folder / "scalix_config.env.example").read_bytes() == (ROOT / "scalix_config.env.example").read_bytes()
    config.write_text("model_list: []\n")
    again = here.scalix("init")
    assert again.returncode == 0
    assert "stays as it is" in again.stdout
    assert config.read_text() == "model_list: []\n"


def test_a_gateway_starts_tells_its_state_and_stops_with_its_files_in_the_current_directory(here: Installation) -> None:
    here.scalix("init")
    started = here.scalix("start", "--demo", "--port", "0", "--detach")
    try:
        assert started.returncode == 0, started.stderr
        assert f"{here.prefix / 'bin' / 'scalix'} stop" in started.stdout.replace("../", "")
        status = json.loads(here.scalix("status", "--json").stdout)
        assert status["ready"] is True
    finally:
        stopped = here.scalix("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert here.scalix("status").returncode == 3
    assert {"logs", ".scalix"} <= {path.name for path in here.folder.iterdir()}


def test_an_option_of_another_command_is_refused_under_the_name_that_was_called(here: Installation) -> None:
    refused = here.scalix("stop", "--json")
    assert refused.returncode == 2
    assert refused.stderr.startswith("scalix stop: ")
    assert "--help" in refused.stderr
