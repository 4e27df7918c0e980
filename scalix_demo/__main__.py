"""`python -m scalix_demo`: runs the demo provider, which replaces real ones in demos and tests."""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

from scalix_demo.app import DemoApp
from scalix_demo.plan import SENTENCE
from scalix_demo.problem import BadRequestError
from scalix_demo.request_log import RequestLog
from scalix_demo.script import Script, parse_script

PROGRAM = "demo provider"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 after SIGTERM or SIGINT; wrong options or an unusable address give one line and exit code 2."""
    options = _parser().parse_args(arguments)
    # uvicorn is imported late, so that --help is quick.
    from scalix_demo.server import bind_tcp, bind_unix, die_with_parent, run

    if options.parent_pid is not None:
        die_with_parent(options.parent_pid)
    defaults = _defaults(options.words, options.gap_ms)
    try:
        listeners = [bind_tcp(options.host, options.port)]
    except (OSError, OverflowError) as error:
        _fail(f"can't listen on {options.host} port {options.port}: {error}; choose another or 0 for a free one")
    port = listeners[0].getsockname()[1]
    try:
        if options.uds is not None:
            listeners.append(bind_unix(options.uds))
        file = None if options.log is None else _open_log(options.log)
    except OSError as error:
        _fail(f"can't use {options.uds or options.log}: {error}; give a path that this user may write")

    def ready() -> None:
        # All objects so far stay, and a log of 100,000 entries should not be searched by each garbage collection.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        line = f"ready {port}\n"
        if options.ready_fd is None:
            sys.stdout.write(line)
            sys.stdout.flush()
        else:
            os.write(options.ready_fd, line.encode())
            os.close(options.ready_fd)

    try:
        run(DemoApp(RequestLog(options.log_entries, file), defaults), listeners, ready)
    finally:
        if options.uds is not None:
            options.uds.unlink(missing_ok=True)
        if file is not None:
            file.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__, epilog=f"The usual answer: {SENTENCE}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument("--uds", type=Path, metavar="PATH", help="also listen on this unix socket")
    parser.add_argument("--ready-fd", type=int, metavar="N", help="write 'ready <port>' there in place of the terminal")
    parser.add_argument("--parent-pid", type=int, metavar="PID", help="end when this parent process ends (Linux)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="append finished requests, prompts included, to FILE")
    parser.add_argument("--log-entries", type=int, default=100_000, metavar="N", help="requests kept in memory")
    parser.add_argument(
        "--words", default=os.environ.get("SCALIX_DEMO_WORDS"), help="length of an answer (or SCALIX_DEMO_WORDS)"
    )
    parser.add_argument(
        "--gap-ms", default=os.environ.get("SCALIX_DEMO_GAP_MS"), help="pause between words (or SCALIX_DEMO_GAP_MS)"
    )
    return parser


def _defaults(words: str | None, gap_ms: str | None) -> Script:
    given = [f"{name}={value}" for name, value in (("words", words), ("gap_ms", gap_ms)) if value]
    try:
        return parse_script([f"[[demo {' '.join(given)}]]"], "", Script())
    except BadRequestError as problem:
        _fail(f"wrong default for words or gap-ms: {problem.message}")


def _open_log(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"{PROGRAM}: {message}\n")
    raise SystemExit(2)


if __name__ == "__main__":
    sys.exit(main())
