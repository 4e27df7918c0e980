"""Patterns over what clients and providers wrote are RE2's: Python's own can take for ever on a text of 20 KB."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "scalix"
# Rooms whose modules see foreign texts.
SEES_FOREIGN_TEXTS = ("api", "domain", "edge", "litellm_adapter", "service", "serving", "store")
# Where Python's `re` stays, and why it can't take long.
MAY_USE_RE = {
    "domain/answers/stream_events.py": "line ends only, of four bytes at most, several times a chunk",
    "domain/identity/key_secrets.py": "a fixed length, anchored at both ends",
    "domain/limits/spans.py": "a fixed length, anchored at both ends",
    "domain/prices/price_map.py": "names in the operator's config",
    "edge/guard_headers.py": "one class of characters, or bounded and anchored; of every request",
    "edge/stream_marks.py": "anchored at the beginning, each part ends where the next begins; of every chunk",
    "litellm_adapter/bounded_work.py": "reads a client's pattern within a bound, and never runs it",
    "litellm_adapter/seams.py": "names in our own table",
    "litellm_adapter/trimming.py": "the operator's config",
    "service/administration/resealing.py": "bounded, anchored at both ends",
    "service/audit/audit_names.py": "names of one user, in what the gateway itself has written",
    "service/queries.py": "a fixed length, anchored at both ends",
    "store/connection/calls.py": "words, in what the store answers",
    "store/connection/server_check.py": "the version of the operator's own store",
    "store/connection/session.py": "one character, of our own prefix",
    "store/ledger/archive_files.py": "names of files in the operator's folder",
    "store/privacy/redis_erasure.py": "a fixed length",
    "store/records/pseudonyms.py": "a fixed length",
}


def uses_re(source: str) -> bool:
    """Whether a module imports Python's own patterns, under whatever name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(alias.name == "re" for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "re":
            return True
    return False


SOURCES = sorted(path for room in SEES_FOREIGN_TEXTS for path in (PACKAGE / room).rglob("*.py"))


@pytest.mark.parametrize("room", sorted(SEES_FOREIGN_TEXTS))
def test_a_module_that_sees_foreign_texts_has_no_pattern_that_backtracks(room: str) -> None:
    texts = {
        str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in (PACKAGE / room).rglob("*.py")
    }
    # A module that has given it up is taken off the list.
    assert {name for name, text in texts.items() if uses_re(text)} == texts.keys() & MAY_USE_RE.keys()


def test_the_list_names_modules_that_exist_and_the_rule_finds_an_import() -> None:
    assert set(MAY_USE_RE) <= {str(path.relative_to(PACKAGE)) for path in SOURCES}
    assert uses_re("def f():\n    import re as r\n")
    assert uses_re("from re import compile\n")
    assert not uses_re("import re2\n")
