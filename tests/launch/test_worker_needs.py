"""What a worker can't do without."""

import sys

import pytest

from scalix.launch.processes import worker
from scalix.launch.processes.patience import patience_of
from scalix.launch.processes.server import build_server
from scalix.launch.processes.signals import EXIT_CANT_LOAD
from scalix.serving.http_protocol import BoundedHttpProtocol


@pytest.mark.parametrize("package", ["uvloop", "httptools"])
def test_a_worker_does_not_serve_without_its_fast_parts(
    package: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert worker.main(["--fd", "0", "--ready-fd", "0"]) == EXIT_CANT_LOAD
    assert package in capfd.readouterr().err


def test_it_is_told_to_use_them_and_does_not_choose_for_itself() -> None:
    server = build_server(lambda: None, patience_of({}), tell_fd=-1)
    assert server.config.loop == "uvloop"
    assert server.config.http is BoundedHttpProtocol
    assert any(base.__module__.endswith("httptools_impl") for base in BoundedHttpProtocol.__mro__)
