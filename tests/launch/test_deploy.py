"""What the files in deploy/ say of the gateway is so: its variables, routes, commands and ports."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from scalix.launch.settings.variable_notes import OURS

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
FILES = sorted(
    path for path in [ROOT / "Dockerfile", *DEPLOY.rglob("*")] if path.is_file() and path.suffix not in (".json", ".md")
)
_VARIABLE = re.compile(r"\b(?:SCALIX|LITELLM|REDIS)_[A-Z_0-9]+\b")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_of_the_gateway_that_a_file_sets_is_one(path: Path) -> None:
    named = {name.removesuffix("_FILE") for name in _VARIABLE.findall(path.read_text(encoding="utf-8"))}
    assert not {name for name in named if name not in OURS and f"{name}_FILE" not in OURS}


def loaded(name: str) -> list[dict[str, object]]:
    return list(YAML(typ="safe").load_all((DEPLOY / name).read_text(encoding="utf-8")))


def test_whoever_stops_a_gateway_waits_longer_than_its_longest_drain() -> None:
    """Fifteen minutes, and what is before and after them."""
    least_s = 15 * 60 + 30
    (pod,) = [found["spec"]["template"]["spec"] for found in loaded("kubernetes/deployment.yaml")]  # type: ignore[index]
    assert pod["terminationGracePeriodSeconds"] >= least_s
    (composition,) = loaded("compose.yaml")
    for name in ("gateway-1", "gateway-2", "gateway-3", "haproxy"):
        assert composition["services"][name]["stop_grace_period"] == "16m"  # type: ignore[index]
    assert "TimeoutStopSec=16min" in (DEPLOY / "systemd" / "scalix-gateway.service").read_text()
    assert "hard-stop-after 16m" in (DEPLOY / "haproxy.cfg").read_text()


def test_no_secret_stands_in_a_file() -> None:
    for path in FILES:
        assert not re.search(r"\bsk-[A-Za-z0-9]{8,}", path.read_text(encoding="utf-8")), path


def test_a_unit_that_ends_of_its_config_is_not_started_again() -> None:
    """What systemd says of exit codes holds for the program itself: one before it would be tried again for ever."""
    unit = (DEPLOY / "systemd" / "scalix-gateway.service").read_text(encoding="utf-8")
    assert "RestartPreventExitStatus=2" in unit
    assert "ExecStartPre" not in unit
