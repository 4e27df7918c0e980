"""Starts real gateways for tests: the real launcher and store, with a tiny app in place of LiteLLM."""

import contextlib
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from scalix.cli.start import main
from scalix.launch.processes.child_process import die_with_parent
from scalix.launch.processes.runfile import RunFile, read_run_file

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "start_scalix_litellm.py"
KEY = "sk-tiny-provider-key-0123456789"
DEADLINE_S = 20.0
T = TypeVar("T")

CONFIG = """\
model_list:
  - model_name: free-tiny
    litellm_params: {model: openai/tiny, api_base: "http://127.0.0.1:9/v1", api_key: "${TINY_KEY}"}
    model_info: {input_cost_per_token: 0, output_cost_per_token: 0}
  - model_name: free-other
    litellm_params: {model: openai/other, api_base: "http://127.0.0.1:9/v1", api_key: "${OTHER_KEY}"}
    model_info: {input_cost_per_token: 0, output_cost_per_token: 0}
scalix:
  default_tier: free
  tiers:
    free:
      requests: {hour: 10}
      models: ["*"]
"""


def eventually(look: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Look again and again until the answer is true, and return it."""
    end = time.monotonic() + deadline_s
    while not (found := look()):
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.01)
    return found


@dataclass
class Place:
    """A folder with a config, an empty env file and a state directory of its own; the commands run there."""

    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.yaml").write_text(CONFIG)
        (self.folder / "empty.env").write_text("")

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / "gateway.log"

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return kept | {
            "SCALIX_STATE_DIR": str(self.state_dir),
            "SCALIX_APP": "tests.launch.tiny_app:create_app",
            "SCALIX_CONFIG": str(self.folder / "config.yaml"),
            "LITELLM_LOG_FILE": str(self.log),
            "LITELLM_MAX_WORKERS": "1",
            "TINY_KEY": KEY,
            **self.extra,
        }

    def command(self, *arguments: str) -> list[str]:
        env_file = () if "--env-file" in arguments else ("--env-file", str(self.folder / "empty.env"))
        return [sys.executable, str(SCRIPT), *arguments, *env_file]

    def run(self, *arguments: str, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment() | dict(extra or {}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )

    def run_here(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[object, str, str]:
        """Run a command that starts nothing in this process: its exit code, output and errors."""
        with monkeypatch.context() as patch, io.StringIO() as out, io.StringIO() as err:
            for name in set(os.environ) - set(self.environment()):
                patch.delenv(name)
            for name, value in self.environment().items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code: object = main(self.command(*arguments)[2:])
                except SystemExit as leaving:
                    code = leaving.code
            return code, out.getvalue(), err.getvalue()

    def launch(self, *arguments: str, extra: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a gateway on a free port, in a process group of its own as a shell would, and don't wait."""
        port = () if "--port" in arguments else ("--port", "0")
        with (self.folder / "terminal").open("w") as terminal:
            process = subprocess.Popen(
                self.command(*port, *arguments),
                env=self.environment() | dict(extra or {}),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=terminal,
                text=True,
                process_group=0,
                preexec_fn=die_with_parent(),
            )
        self.started.append(process)
        return process

    def start(self, *arguments: str, extra: Mapping[str, str] | None = None) -> "Gateway":
        """Start a gateway and wait until it is ready."""
        process = self.launch(*arguments, extra=extra)

        def is_ready() -> bool:
            assert process.poll() is None, self.terminal()
            run_file = read_run_file(self.state_dir)
            # The block comes after the run file, and tests read it.
            ours = run_file is not None and run_file.launcher.pid == process.pid and run_file.phase == "ready"
            return ours and "is ready at" in self.terminal()

        eventually(is_ready, "the gateway is ready")
        return Gateway(self, process)

    def terminal(self) -> str:
        """What the terminal shows."""
        return (self.folder / "terminal").read_text()

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(DEADLINE_S)


@dataclass
class Gateway:
    """A gateway that runs."""

    place: Place
    process: subprocess.Popen[str]

    @property
    def run_file(self) -> RunFile:
        run_file = read_run_file(self.place.state_dir)
        assert run_file
        return run_file

    @property
    def port(self) -> int:
        return self.run_file.port

    def get(self, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
        connection = http.client.HTTPConnection(host, self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def header(self, name: str, path: str = "/") -> str | None:
        """A header of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().headers[name]
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.place.run("--status", "--json").stdout)
        return answer

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def log_has(self, words: str) -> None:
        eventually(lambda: words in self.place.log.read_text(), f"{words!r} in the log")


def all_gone(processes: list[psutil.Process]) -> bool:
    """Whether none of the processes is left, zombies aside: they wait for whoever is init here."""
    return not any(map(_runs, processes))


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return False
