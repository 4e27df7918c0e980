"""docs/privacy.md states every kind of key that the store has, and no other."""

from pathlib import Path

from scalix.store import keys

STATEMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "privacy.md"


def kinds(text: str) -> list[str]:
    """The first column of the rows that name keys."""
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]


def test_every_kind_of_key_has_its_statement() -> None:
    section = STATEMENT.read_text("utf-8").partition("## What is kept in the store")[2].partition("\n## ")[0]
    assert keys.__doc__ is not None
    stated, there = kinds(section), kinds(keys.__doc__)
    assert len(there) > 20
    assert sorted(stated) == sorted(there)
    assert len(set(stated)) == len(stated)


def test_every_statement_fills_every_column() -> None:
    section = STATEMENT.read_text("utf-8").partition("## What is kept in the store")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    assert all(len(row) == 6 and all(cell.strip() for cell in row) for row in rows)
