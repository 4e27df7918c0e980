"""docs/commands.md: every command and every option, from the parsers themselves."""

import argparse
from collections.abc import Iterator

from scalix.cli import diagnose, doctor, main, start
from scalix.cli.local import WORDS

_BEGINNING = """\
# Commands

Every command and every option, as `--help` has them. Installed by pip the command is `scalix`; in a checkout `scalix
start`, `status`, `stop`, `reload`, `check` and `version` are options of `start_scalix_litellm.py`, `scalix diagnose` is
`test_scalix_litellm.py`, and all others are `python -m scalix …`. What they are for is in [operating](operating.md),
[users](users.md), [keys](keys.md), [limits](limits.md), [ledger](ledger.md), [usage](usage.md) and
[privacy](privacy.md).

What calls a running gateway takes `--url` (another gateway than that of the state directory) and `--env-file`.
"""


def commands_page() -> str:
    """docs/commands.md."""
    parts = [
        _BEGINNING,
        _table("start_scalix_litellm.py, scalix start", start._parser()),
        _table("scalix doctor", doctor.parser()),
        _table("test_scalix_litellm.py, scalix diagnose", diagnose._parser()),
    ]
    parts += [_table(f"scalix {name}", parser) for name, parser in _commands(main._parser()) if name not in WORDS]
    return "\n".join(parts)


def _commands(parser: argparse.ArgumentParser, before: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands at the ends of the tree, each with its whole name."""
    trees = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for name, below in ((name, below) for tree in trees for name, below in tree.choices.items()):
        yield from _commands(below, f"{before}{name} ")
    if not trees:
        yield before.strip(), parser


def _table(name: str, parser: argparse.ArgumentParser) -> str:
    lines = [f"## {name}", ""]
    shown = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    if parser.description:
        lines += [" ".join(parser.description.split()), ""]
    if shown:
        lines += ["| option | for |", "|---|---|"]
        lines += [f"| {_option(action)} | {_help(action)} |" for action in shown]
        lines += [""]
    if parser.epilog:
        lines += [" ".join(parser.epilog.split()), ""]
    return "\n".join(lines)


def _option(action: argparse.Action) -> str:
    words = action.option_strings or [str(action.metavar or action.dest)]
    value = str(action.metavar or action.dest).upper() if action.option_strings and action.nargs != 0 else ""
    return ", ".join(f"`{word} {value}`" if value else f"`{word}`" for word in words)


def _help(action: argparse.Action) -> str:
    """What an option is for, in one cell."""
    choices = ", ".join(map(str, action.choices)) if action.choices else ""
    told = " ".join((action.help or "").replace("%%", "%").replace("|", "\\|").split())
    return ": ".join(text for text in (told, choices) if text)
