"""Resident memory after 20,000 and 200,000 requests: `python -m benchmarks.memory`, a quarter of an hour."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.processes import OTHER_CORES, BenchmarkError, start_provider, stop
from benchmarks.studies.base import Setting
from benchmarks.studies.memory import Memory

FEW, MANY = 20_000, 200_000


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 2 when it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--few", type=int, default=FEW, help="the number of requests to compare with")
    parser.add_argument("--many", type=int, default=MANY, help="the number of requests in all")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, OTHER_CORES)
    with tempfile.TemporaryDirectory(prefix="scalix-bench-") as name:
        folder = Path(name)
        provider, url = start_provider(folder)
        try:
            setting = Setting({}, folder, url, 1, False, lambda text: print(text, file=sys.stderr, flush=True))
            print(Memory(options.few, options.many).run(setting).text)
        except BenchmarkError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 2
        finally:
            stop(provider)
    return 0


if __name__ == "__main__":
    sys.exit(main())
