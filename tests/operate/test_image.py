"""The image is built and runs: without root, on a read-only file system, and ends when it is asked to."""

import json
import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.operate.tools import ROOT, run
from tests.store.servers import free_ports

pytestmark = pytest.mark.operate
# Where no systemd and no network of containers is: as in a container itself.
PODMAN = (
    '[containers]\ndefault_ulimits=["nofile=4096:4096","nproc=4096:4096"]\nnetns="host"\n[engine]\nruntime="runc"\n'
)
PODMAN += 'cgroup_manager="cgroupfs"\nevents_logger="file"\n'
DEBIAN = "bookworm"


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("podman") / "containers.conf"
    path.write_text(PODMAN)
    return {"CONTAINERS_CONF": str(path)}


@pytest.fixture(scope="module")
def image(variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image on a base of Debian's own packages, so that no registry of images is needed.

    SCALIX_TEST_BUILD_OPTIONS may say what a build needs to find the Python packages, such as a volume with pip.conf.
    """
    base = tmp_path_factory.mktemp("base") / "base.tar"
    packages = "--include=python3,python3-venv,ca-certificates"
    made = run("mmdebstrap", "--variant=minbase", packages, DEBIAN, str(base))
    assert made.returncode == 0, made.stderr[-2000:]
    assert run("podman", "import", str(base), "scalix-test-base", **variables).returncode == 0
    options = shlex.split(os.environ.get("SCALIX_TEST_BUILD_OPTIONS", ""))
    arguments = ("--format", "docker", "--isolation", "chroot", "--build-arg", "BASE=localhost/scalix-test-base")
    built = run("podman", "build", *arguments, *options, "-t", "scalix-test", str(ROOT), **variables)
    assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
    yield "scalix-test"
    run("podman", "rmi", "-f", "scalix-test", "scalix-test-base", **variables)


def test_it_runs_read_only_without_root_and_drains_when_stopped(
    image: str, variables: dict[str, str], tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    hardened = ("--read-only", "--tmpfs", "/tmp:size=64m", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")  # noqa: S108
    settings = ("-e", "SCALIX_ENV=development", "-e", f"LITELLM_PORT={port}", "-e", "LITELLM_MAX_WORKERS=1")
    name = f"scalix-test-{port}"
    started = run("podman", "run", "-d", "--name", name, *hardened, *settings, image, "start", "--demo", **variables)
    assert started.returncode == 0, started.stderr
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", name, variables)
        status = run("podman", "exec", name, "scalix", "status", "--json", **variables)
        assert json.loads(status.stdout)["ready"] is True
        assert run("podman", "exec", name, "id", "-u", **variables).stdout.strip() == "10001"
        traces = "import opentelemetry.exporter.otlp.proto.http"
        assert run("podman", "exec", name, "/opt/scalix/bin/python", "-c", traces, **variables).returncode == 0
        checked = run("podman", "exec", name, "scalix", "diagnose", "--test", "free", **variables)
        assert checked.returncode == 0, checked.stdout
        run("podman", "stop", "-t", "30", name, **variables)
        ended = run("podman", "inspect", name, "--format", "{{.State.ExitCode}}", **variables)
        assert ended.stdout.strip() == "0"
    finally:
        run("podman", "rm", "-f", name, **variables)


def wait_until_ready(url: str, name: str, variables: dict[str, str]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            if httpx.get(f"{url}/health/readiness").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(run("podman", "logs", name, **variables).stdout[-3000:])
