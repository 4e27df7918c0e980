"""What docs/clients.md says of the clients is what is tried."""

import pytest

from tests.clients.catalogue import CLIENTS, Client
from tests.clients.table import DOCUMENT, table


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.set_up], ids=lambda client: client.folder)
def test_the_line_that_is_shown_is_in_what_runs(client: Client) -> None:
    assert client.set_up in client.script.read_text(encoding="utf-8")


def test_every_lock_names_packages_by_hash_and_no_host() -> None:
    for client in CLIENTS:
        text = client.lock.read_text(encoding="utf-8")
        assert "resolved" not in text, client.lock
        assert text.count("sha256:" if client.lock.suffix == ".lock" else '"integrity"') > 0, client.lock


def test_the_table_of_clients_is_as_it_is_generated() -> None:
    assert table() in DOCUMENT.read_text(encoding="utf-8"), "run: python -m tests.clients.table"
