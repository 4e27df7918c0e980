"""What docs/clients.md says of the clients is what is tried."""

import json

import pytest

from tests.clients.catalogue import CLIENTS, NPM, Client
from tests.clients.locks import completed
from tests.clients.table import DOCUMENT, table


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.set_up], ids=lambda client: client.folder)
def test_the_line_that_is_shown_is_in_what_runs(client: Client) -> None:
    assert client.set_up in client.script.read_text(encoding="utf-8")


def test_every_lock_names_packages_by_hash_and_no_host() -> None:
    for client in CLIENTS:
        text = client.lock.read_text(encoding="utf-8")
        assert "resolved" not in text, client.lock
        assert text.count("sha256:" if client.lock.suffix == ".lock" else '"integrity"') > 0, client.lock


def test_npms_locks_have_all_that_they_name_and_a_hash_of_all_that_is_installed_here() -> None:
    for client in CLIENTS:
        if client.kind == NPM:
            lock = json.loads(client.lock.read_text(encoding="utf-8"))
            assert completed(lock) == lock, f"{client.lock}: run: python -m tests.clients.locks"
            for path, entry in lock["packages"].items():
                elsewhere = entry.get("optional") and (
                    "linux" not in entry.get("os", ())
                    or "x64" not in entry.get("cpu", ())
                    or entry.get("libc") == ["musl"]
                )
                assert not path or "integrity" in entry or elsewhere, f"{client.lock}: {path}"


def test_the_table_of_clients_is_as_it_is_generated() -> None:
    assert table() in DOCUMENT.read_text(encoding="utf-8"), "run: python -m tests.clients.table"
