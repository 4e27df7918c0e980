"""`scalix start`, `status` and their like: what the scripts of a checkout do, where only `scalix` is installed."""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalix.cli.command_line import EXIT_WRONG_INPUT, Parser
from scalix.launch.home import EXAMPLES, example
from scalix.launch.problems import shown_path

# What each is called as an option of the start script.
_STARTING = {
    "start": ((), "start the gateway here"),
    "status": (("--status",), "whether it runs; exit 0: ready, 1: up but not ready, 3: not running"),
    "stop": (("--stop",), "finish the requests in flight and stop"),
    "reload": (("--reload",), "read the config again"),
    "check": (("--check",), "check settings, config and store, start nothing"),
    "version": (("--version",), "print the versions"),
}
WORDS = (*_STARTING, "doctor", "diagnose", "init")


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Name the commands in the help; `run` is what does them."""
    for word, (_, told) in _STARTING.items():
        commands.add_parser(word, help=told)
    commands.add_parser("doctor", help="look at all that a gateway needs, and say what to do")
    commands.add_parser("diagnose", help="call a running gateway as clients would, and check what it answers")
    commands.add_parser("init", help="write an example of the config and of the env file into this directory")


def run(word: str, arguments: Sequence[str]) -> int:
    """Do one of `WORDS` with its own options. Returns the exit code."""
    program = f"scalix {word}"
    if word == "init":
        return _init(program, arguments)
    if word == "doctor":
        from scalix.cli.doctor import main as doctor

        return doctor(arguments, program=program)
    if word == "diagnose":
        from scalix.cli.diagnose import main as diagnose

        return diagnose(arguments, program=program)
    from scalix.cli.start import main as start

    return start([*_STARTING[word][0], *arguments], program=program)


def _init(program: str, arguments: Sequence[str]) -> int:
    """Write the shipped examples into the current directory; what is there stays as it is."""
    Parser(prog=program, description="Write an example of the config and of the env file here.").parse_args(arguments)
    for name in EXAMPLES:
        place = Path.cwd() / name
        if place.exists():
            print(f"{shown_path(place)} is there already and stays as it is")
            continue
        try:
            shutil.copyfile(example(name), place)
        except OSError as error:
            print(f"{place}: {error.strerror}; call this in a directory that this user may write to")
            return EXIT_WRONG_INPUT
        print(f"{shown_path(place)} written")
    print("set the providers' keys in the environment or in scalix_config.env, then: scalix start")
    return 0
