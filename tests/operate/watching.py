"""A gateway that a real Prometheus watches, with the rules of deploy/ at a speed at which a test can wait for them."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from scalix.launch.processes.child_process import die_with_parent
from tests.e2e.gateways import METRICS_TOKEN, Gateway
from tests.operate.tools import ROOT, program
from tests.store.servers import free_ports

HI = [{"role": "user", "content": "hi"}]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
QUICKER = {"5m": "10s", "10m": "20s", "15m": "40s", "1h": "60s"}


def quick_rules() -> str:
    """The rules with the same conditions, over shorter times."""
    text = re.sub(r"(?<=\[)(\d+[mh])(?=\])", lambda found: QUICKER[found[1]], RULES.read_text(encoding="utf-8"))
    text = text.replace("2 * 86400", "20")  # of which nobody waits for two days
    return re.sub(r"for: \w+", "for: 1s", re.sub(r"offset \w+", "offset 20s", text))


def soon(look: Callable[[], Any], what: str, *, within_s: float = 60) -> Any:
    """What `look` finds, as soon as it finds something."""
    end_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < end_s, what
        time.sleep(0.2)
    return found


@dataclass
class Watched(Gateway):
    """A gateway with a config of its own."""

    config: str = ""

    def start(self) -> "Watched":
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config.yaml").write_text(self.config, encoding="utf-8")
        done = self.command("--detach", "--port", "0", *self.options)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.log_text()[-4000:]}"
        self.url = self.address()
        return self

    def address(self) -> str:
        return str(json.loads(self.command("--status", "--json").stdout)["address"])

    def ask(self, model: str = "steady", user: str = "u", **more: Any) -> int:
        """The status of one chat completion."""
        body = {"model": model, "messages": HI, "user": user, "max_tokens": 20, **more}
        try:
            headers = {"authorization": f"Bearer {self.master_key}"}
            with httpx.Client(headers=headers, timeout=30, trust_env=False, verify=False) as http:  # noqa: S501
                return http.post(f"{self.url}/v1/chat/completions", json=body).status_code
        except httpx.TransportError:
            return 0

    def scrape(self) -> dict[str, float]:
        """The figures of now."""
        text = httpx.get(f"{self.url}/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"}).text
        rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in rows}


@dataclass
class Prometheus:
    """A real one, that scrapes every second. `targets` may be added to."""

    folder: Path
    port: int
    targets: list[dict[str, Any]] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def watch(self, gateway: Gateway) -> None:
        """Scrape a gateway too."""
        scheme, _, address = gateway.url.partition("://")
        self.targets.append({"targets": [address], "labels": {"__scheme__": scheme}})
        (self.folder / "targets.json").write_text(json.dumps(self.targets))

    def start(self) -> "Prometheus":
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "alerts.yaml").write_text(quick_rules(), encoding="utf-8")
        (self.folder / "token").write_text(METRICS_TOKEN)
        (self.folder / "targets.json").write_text("[]")
        (self.folder / "prometheus.yaml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [alerts.yaml]\nscrape_configs:\n"
            "  - job_name: scalix\n    authorization: {credentials_file: token}\n"
            "    tls_config: {insecure_skip_verify: true}\n"
            "    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]\n"
        )
        options = (f"--config.file={self.folder}/prometheus.yaml", f"--storage.tsdb.path={self.folder}/data")
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                (program("prometheus"), *options, f"--web.listen-address=127.0.0.1:{self.port}"),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=die_with_parent(),
            )
        soon(self._is_ready, "Prometheus does not start")
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def query(self, text: str) -> list[dict[str, Any]]:
        """The series that answer a query."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/query", params={"query": text}).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def value(self, text: str) -> float:
        """The figure of a query that has one."""
        found = self.query(text)
        return float(found[0]["value"][1]) if found else -1.0

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/alerts").json()["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/-/ready").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def meanwhile(work: Callable[[], object], *, threads: int = 1) -> Iterator[None]:
    """Have something done again and again until the block ends."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            work()

    running = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in running:
            thread.join(timeout=30)


def prometheus(folder: Path) -> Prometheus:
    """One on a free port."""
    return Prometheus(folder, free_ports(1)[0])
