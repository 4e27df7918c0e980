"""Tables of the command line: whole in a pipe, and in a terminal no wider than it is, with what matters kept."""

import argparse
import csv
import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st

from scalix.cli import main
from scalix.cli.columns import columns_of
from scalix.cli.fitting import fitted, whole
from scalix.cli.session import Session
from scalix.cli.tables import print_rows, print_series
from scalix.cli.widths import plain, shortened, width_of, wrapped
from tests.cli.table_cases import CASES, HOSTILE, NAMES, backups

PEOPLE = argparse.Namespace(csv=False)
LINES = [*CASES, "backup list"]


class Terminal(io.StringIO):
    """Standard output, where somebody looks."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Answering(Session):
    """Answers with one thing, whatever is asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def patient(self, timeout_s: float) -> "Answering":
        return self

    def ask(self, method: str, path: str, fields: Any) -> Any:
        return self.answer

    def get(self, path: str, **query: Any) -> Any:
        return self.answer

    def page(self, path: str, **query: Any) -> tuple[str, str | None]:
        return "a,b\r\n1,2\r\n", None


def printed(line: str, folder: Path, *flags: str) -> None:
    words = [*(backups(folder) if line == "backup list" else line).split(" "), *flags]
    options = main._parser().parse_args(words)
    options.url = options.env_file = None
    with suppress(SystemExit):  # what the command has found decides on its exit code
        options.run(options, Answering(CASES.get(line)))


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> Iterator[Terminal]:
    """What is printed meanwhile, in a terminal so wide."""
    monkeypatch.setenv("COLUMNS", str(width))
    with redirect_stdout(Terminal()) as shown:
        yield shown


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, argparse.Namespace]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, one in action.choices.items():
                yield from commands(one, (*words, name))
        elif "--csv" in action.option_strings:
            yield " ".join(words), argparse.Namespace()


def test_every_command_that_prints_a_table_is_tried_here() -> None:
    found = {name for name, _ in commands(main._parser())}
    tried = {next(name for name in found if line.startswith(name)) for line in LINES}
    assert tried == found


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("line", LINES)
def test_no_line_is_wider_than_the_terminal_and_nothing_steers_it(
    line: str, width: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with terminal(monkeypatch, width) as shown:
        printed(line, tmp_path)
    lines = shown.getvalue().splitlines()
    assert len(lines) > 2
    for one in lines:
        assert wcwidth.wcswidth(one) <= width, one
        assert width_of(one) <= width
        assert all(char.isprintable() or char in "\u200e\u00a0" for char in one), one


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("line", LINES)
def test_names_and_money_are_whole_however_narrow_it_is(
    line: str, width: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with terminal(monkeypatch, width) as shown:
        printed(line, tmp_path)
    # What is wrapped is put together again: names stand in one column, so their letters come in their order.
    columns = "".join(char for char in shown.getvalue() if not char.isspace())
    for row in (CASES.get(line) or {}).get("rows", ()):
        for name, value in row.items():
            if name in CASES[line]["columns"] and name.endswith("_usd"):
                assert f"{value:,.2f}" in columns or f"{value:,.4f}" in columns, name
    if line in ("report model", "user list", "report top", "report tier"):
        for name in NAMES:
            letters = [char for char in plain(name) if not char.isspace()]
            assert re.search(".*?".join(map(re.escape, letters[:80])), columns, re.DOTALL), name
            assert "…" not in columns


def test_what_matters_least_is_left_out_first_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    names = CASES["report model"]["columns"]
    table = whole(columns_of(names), [["x" * 8 if name == "model" else "1,234.56" for name in names]])
    left_out: set[str] = set()
    for width in range(140, 50, -1):
        found = fitted(table, width)
        assert found is not None
        assert set(found.left_out) >= left_out
        left_out = set(found.left_out)
        ranks = [column.rank for column in found.columns if not column.is_needed]
        gone = [column.rank for column in columns_of(names) if column.head in left_out]
        assert not gone or not ranks or max(gone) <= min(ranks)
    assert fitted(table, 10) is None
    with terminal(monkeypatch, 80) as shown:
        print_rows(PEOPLE, "models", names, CASES["report model"]["rows"])
    assert "no room for reasoning" not in shown.getvalue()  # it is left out as it is empty
    assert "no room for " in shown.getvalue()


@pytest.mark.parametrize("line", LINES)
def test_in_a_pipe_a_row_is_a_line_and_whole(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    printed(line, tmp_path)
    out = capsys.readouterr().out
    assert "…" not in out
    assert "no room for" not in out
    answer = CASES.get(line) or {}
    for rows in (value for value in answer.values() if isinstance(value, list) and len(value) == len(NAMES)):
        assert sum(plain(HOSTILE[0]) in one for one in out.splitlines()) >= 1
        assert len(out.splitlines()) >= len(rows)
    assert "\x1b" not in out


@pytest.mark.parametrize("line", LINES)
def test_every_table_is_csv_too(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(line, tmp_path, "--csv")
    out, _ = capsys.readouterr()
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}
    assert all(re.fullmatch("[a-z_]+", name) for name in rows[0])


def test_columns_that_are_empty_in_all_rows_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {"user_id": "ann", "blocked": False, "user_email": None},
        {"user_id": "bob", "models": []},
    ]
    print_rows(PEOPLE, "users", ("user_id", "blocked", "user_email", "models"), rows)
    assert capsys.readouterr().out.splitlines()[1:3] == ["user", "────"]
    print_rows(PEOPLE, "users", ("user_id", "blocked"), [{"user_id": "ann", "blocked": True}])
    assert capsys.readouterr().out.splitlines()[1] == "user  blocked"


def test_amounts_of_a_column_have_as_many_decimals_as_the_least_needs(capsys: pytest.CaptureFixture[str]) -> None:
    for amounts, shown in (
        ((1234.5, 0.5, 0.0), ["1,234.50", "0.50", "0.00"]),
        ((1234.5, 0.0123), ["1,234.5000", "0.0123"]),
        ((1.5, -0.000013), ["1.500000", "-0.000013"]),
    ):
        print_rows(PEOPLE, "", ("charge_usd",), [{"charge_usd": amount} for amount in amounts])
        lines = capsys.readouterr().out.splitlines()
        assert lines[1].strip() == "charge\u00a0$"
        assert [one.strip() for one in lines[3:]] == shown
        assert len({len(one) for one in lines[3:]}) == 1  # at the right


def test_a_series_is_a_line_of_bars_in_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with terminal(monkeypatch, 40) as shown:
        print_series("charge $", [0.0, 1.0, 2.0, 4.0])
        for values in ([], [1, 2], [0, 0, 0, 0]):
            print_series("nothing", values)
    assert shown.getvalue() == "charge $ ▁▃▅█  0.00 to 4.00\n"
    with terminal(monkeypatch, 40) as shown:
        print_series("charge $", list(range(1, 1000)))
    assert max(map(len, shown.getvalue().splitlines())) <= 40
    print_series("charge $", [0.0, 1.0, 2.0, 4.0])
    assert capsys.readouterr().out == ""


def test_days_without_use_are_in_the_series_of_days(monkeypatch: pytest.MonkeyPatch) -> None:
    days = [{"date": date, "requests": 8, "tokens": 1, "charge_usd": 0.5} for date in ("2026-11-01", "2026-11-04")]
    answer = {**CASES["report day"], "rows": days, "columns": ("date", "requests", "tokens", "charge_usd")}
    options = main._parser().parse_args(["report", "day"])
    with terminal(monkeypatch, 80) as shown:
        options.run(options, Answering(answer))
    assert "requests █▁▁█  0 to 8" in shown.getvalue()
    assert "charge\u00a0$ █▁▁█  0.00 to 0.50" in shown.getvalue()


def test_the_width_is_the_terminals_and_a_pipe_has_none(tmp_path: Path) -> None:
    code = "from scalix.cli.tables import print_rows; import argparse; print_rows(argparse.Namespace(csv=False), 't', "
    code += "('user_id', 'requests', 'token'), [{'user_id': 'u' * 90, 'requests': 5, 'token': 't' * 64}])"
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environ["PYTHONIOENCODING"] = "utf-8"
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
    subprocess.run([sys.executable, "-c", code], stdout=theirs, env=environ, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode().splitlines()
    assert max(map(len, shown)) <= 50
    assert [line.split()[0] for line in shown[3:6]] == ["u" * 40, "u" * 40, "u" * 10]
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environ, check=True, timeout=60)
    assert "u" * 90 + "         5  " + "t" * 64 in piped.stdout.decode()


@pytest.mark.parametrize("text", [*NAMES, "ｱｲｳ", "각", "a\u0300", "⚠️ x", "🇩🇪", "한글", "ไทย"])
def test_texts_are_as_wide_as_wcwidth_says(text: str) -> None:
    assert width_of(plain(text)) == wcwidth.wcswidth(plain(text))


@given(st.text(), st.integers(2, 40))
def test_a_text_that_is_wrapped_or_shortened_fits_and_a_wrapped_one_is_whole(text: str, width: int) -> None:
    text = plain(text)
    assert all(char.isprintable() for char in text)
    lines = wrapped(text, width)
    assert all(width_of(one) <= width for one in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    short = shortened(text, width)
    assert width_of(short) <= width
    if short != text:
        head, tail = short.split("…", 1) if "…" not in text else (short[:1], "")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_marks_stay_with_their_letters() -> None:
    for one in wrapped("e\u0301" * 10, 3):
        assert not unicodedata.combining(one[0])
    assert shortened("e\u0301" * 10, 5) == "e\u0301e\u0301…e\u0301e\u0301"
