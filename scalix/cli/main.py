"""The command `scalix`, also `python -m scalix`, whose subcommands are modules of this package."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from scalix.cli import audit, backup, command_line, keys, ledger, limits, local, upkeep, usage, users
from scalix.cli.checks.target import HOW_TO_START
from scalix.cli.command_line import EXIT_FAILED, EXIT_WRONG_INPUT, typed_path
from scalix.cli.session import Refused, Session, WrongUsage
from scalix.launch.http_client import NoAnswer
from scalix.launch.problems import LaunchError

PROGRAM = "scalix"
# A module gives `add_to(commands)`, which adds its parsers; each parser's `run` takes the options and a `Session`.
COMMANDS = (local, limits, users, keys, audit, ledger, usage, upkeep, backup)


class Parser(command_line.Parser):
    """A parser of subcommands."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Accept flags between positionals, which argparse does not in subcommands (bpo-14191)."""
        takes_flags_only = all(action.nargs == 0 for action in self._actions if action.option_strings)
        if args is not None and takes_flags_only and self._subparsers is None:
            args = sorted(args, key=lambda argument: not argument.startswith("--"))
        return super().parse_known_args(args, namespace)


def _which() -> command_line.Parser:
    """The options that name the gateway, which may stand anywhere on the line."""
    which = command_line.Parser(prog=PROGRAM, add_help=False)
    which.add_argument("--url", help="another gateway, such as https://gateway.example.com")
    which.add_argument(
        "--env-file",
        type=typed_path,
        metavar="FILE",
        help="the env file of the gateway",
    )
    return which


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=PROGRAM,
        parents=[_which()],
        description="Runs a Scalix gateway, and does what operators do with a running one, through its HTTP API.",
        epilog="The gateway is the one that runs from the state directory (SCALIX_STATE_DIR), and the key is "
        "LITELLM_MASTER_KEY, else the one in its master.key. Exit code 0: done; 1: the gateway refused or did not "
        "answer; 2: wrong usage or no key.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    for module in COMMANDS:
        module.add_to(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code."""
    which, rest = _which().parse_known_args(sys.argv[1:] if arguments is None else arguments)
    if rest and rest[0] in local.WORDS:
        named = {"--url": which.url, "--env-file": which.env_file}
        named_options = [text for name, value in named.items() if value for text in (name, str(value))]
        return local.run(rest[0], [*rest[1:], *named_options])
    options = _parser().parse_args(rest, which)
    try:
        # What needs no gateway is not given one.
        is_alone = getattr(options, "without_gateway", False)
        session = None if is_alone else Session.open(os.environ, url=options.url, env_file=options.env_file)
        options.run(options, session)
    except LaunchError as error:
        return command_line.tell_problems(error.problems)
    except Refused as refused:
        print(f"{PROGRAM}: {refused}", file=sys.stderr)
        return EXIT_WRONG_INPUT if isinstance(refused, WrongUsage) else EXIT_FAILED
    except NoAnswer as error:
        print(
            f"{PROGRAM}: the gateway at {session.url if session else ''} does not answer ({error}); {HOW_TO_START}",
            file=sys.stderr,
        )
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader has seen enough, as with `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    return 0
