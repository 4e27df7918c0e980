"""Every dependency is one release of one content: a release that somebody has put in its place is not installed."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
_PINNED = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9,._-]+\])?==[0-9][A-Za-z0-9.!+_-]*( ?;.*)?")


def requirements(name: str) -> list[list[str]]:
    """Each requirement's first line, with its hashes."""
    found: list[list[str]] = []
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        text = line.strip().removesuffix("\\").strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("--hash="):
            found[-1].append(text)
        else:
            found.append([text])
    return found


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("requirements.lock", 51),
        ("requirements-dev.lock", 51),
        ("requirements-docs.lock", 6),
        ("requirements-traces.lock", 12),
        ("requirements-operate.lock", 15),
        ("requirements-browser.lock", 3),
        ("benchmarks/peers/vllm-router.lock", 28),
        ("benchmarks/peers/sglang-router.lock", 24),
    ],
)
def test_every_requirement_has_a_version_and_hashes(name: str, least: int) -> None:
    found = requirements(name)
    assert len(found) >= least
    for requirement, *hashes in found:
        assert _PINNED.fullmatch(requirement), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text) for text in hashes), requirement


def test_the_compromised_releases_of_litellm_are_not_among_them() -> None:
    versions = {
        line.partition("==")[2].split(" ")[0] for line, *_ in requirements("requirements.lock") if "litellm==" in line
    }
    assert versions
    assert not versions & {"1.82.7", "1.82.8"}


def test_set_up_installs_with_hashes_alone() -> None:
    assert "--require-hashes" in (ROOT / "tools" / "setup.sh").read_text(encoding="utf-8")


def test_the_locks_name_all_that_what_is_in_them_needs() -> None:
    """Set-up resolves nothing (`--no-deps`), so what a lock leaves out would be missing at run time."""
    assert "--no-deps" in (ROOT / "tools" / "setup.sh").read_text(encoding="utf-8")
    locked = {
        canonicalize_name(line.partition("==")[0].partition("[")[0])
        for name in ("requirements.lock", "requirements-dev.lock")
        for line, *_ in requirements(name)
    }
    missing = {
        f"{name} needs {text}"
        for name in locked
        for text in _needs(name)
        if canonicalize_name(Requirement(text).name) not in locked
    }
    assert not missing


def _needs(name: str) -> list[str]:
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:  # for another platform or Python
        return []
    return [text for text in texts if (marker := Requirement(text).marker) is None or marker.evaluate({"extra": ""})]
