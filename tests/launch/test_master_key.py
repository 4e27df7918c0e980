"""The master key that development makes for itself."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scalix.launch.problems import LaunchError
from scalix.launch.settings.master_key import ensure_master_key

ROOT = Path(__file__).parents[2]


def test_a_key_of_256_bits_is_made_once_and_kept_private(tmp_path: Path) -> None:
    key = ensure_master_key(tmp_path / "state")
    assert re.fullmatch(r"sk-[0-9a-f]{64}", key)
    assert ensure_master_key(tmp_path / "state") == key
    path = tmp_path / "state" / "master.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == key + "\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]


def test_two_state_directories_have_two_keys(tmp_path: Path) -> None:
    assert ensure_master_key(tmp_path / "a") != ensure_master_key(tmp_path / "b")


def test_processes_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from scalix.launch.settings.master_key import ensure_master_key\n"
        "sys.stdin.read(); print(ensure_master_key(Path(sys.argv[1])))"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "state")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    # All wait for the end of their input, so that none is done before the last has been started.
    for racer in racers:
        assert racer.stdin
        racer.stdin.close()
        racer.stdin = None
    keys = {racer.communicate(timeout=60)[0] for racer in racers}
    assert len(keys) == 1
    assert [entry.name for entry in (tmp_path / "state").iterdir()] == ["master.key"]


def test_a_key_file_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    key = ensure_master_key(tmp_path)
    path = tmp_path / "master.key"
    path.chmod(0o644)
    assert ensure_master_key(tmp_path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "\n", "sk-short", "sk-canary with blanks in it"])
def test_a_file_without_a_usable_key_is_a_problem(tmp_path: Path, text: str) -> None:
    (tmp_path / "master.key").write_text(text)
    with pytest.raises(LaunchError, match=r"master\.key: .*; delete the file") as caught:
        ensure_master_key(tmp_path)
    assert "canary" not in str(caught.value)


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("sk-" + "0" * 64)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "master.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LaunchError, match="can't be kept here"):
        ensure_master_key(tmp_path / "state")


def test_a_state_directory_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(LaunchError, match="SCALIX_STATE_DIR"):
        ensure_master_key(tmp_path / "state")
