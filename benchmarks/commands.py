"""Measures the commands that start nothing: `python -m benchmarks.commands`.

Each runs in a fresh process against an empty state directory; wall and CPU time, medians of 11. The bound is 0.5 s.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (["--help"], ["--status"], ["--stop"], ["--check"], ["--version"])
RUNS = 11


def main() -> None:
    """Print one line per command."""
    with tempfile.TemporaryDirectory() as state_dir:
        for command in COMMANDS:
            figures = [_once(command, state_dir) for _ in range(RUNS)]
            wall_ms, cpu_ms = (statistics.median(column) for column in zip(*figures, strict=True))
            print(f"{' '.join(command):10} {wall_ms:6.0f} ms   {cpu_ms:6.0f} ms of CPU")


def _once(command: list[str], state_dir: str) -> tuple[float, float]:
    environment = os.environ | {"SCALIX_STATE_DIR": state_dir}
    before, began_s = os.times(), time.perf_counter()
    arguments = [sys.executable, str(ROOT / "start_scalix_litellm.py"), *command]
    subprocess.run(arguments, env=environment, capture_output=True, check=False)
    wall_s, after = time.perf_counter() - began_s, os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return wall_s * 1000, cpu_s * 1000


if __name__ == "__main__":
    main()
