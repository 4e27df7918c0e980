"""Gateways of an earlier version of this repository, for tests of what two versions do with one store."""

import io
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.gateways import ROOT, START_TIMEOUT_S, Gateway


def tree_of(commit: str, folder: Path) -> Path:
    """The files of an earlier version, in `folder`."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True)
    if packed.returncode:
        pytest.fail(
            f"this test starts the gateway of commit {commit}, which this repository does not have: fetch its whole "
            f"history (git fetch --unshallow). git says: {packed.stderr.decode(errors='replace').strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


@dataclass
class OfVersion(Gateway):
    """A gateway of the version in `root`. Its state is looked at, and it is stopped, by the commands of this one, as
    where a new version was installed over the one that runs."""

    root: Path = ROOT

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        if self.root == ROOT or "--detach" not in arguments:
            return super().command(*arguments)
        return self.own_command(*arguments)

    def own_command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command of its own version."""
        return subprocess.run(
            [sys.executable, str(self.root / "start_scalix_litellm.py"), *arguments],
            env=self.environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
        )
