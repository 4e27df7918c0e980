"""Shows where a worker's time goes: a flame graph for each kind of load, and its widest lines."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import generator
from benchmarks.accounting import STORE_PROGRAMS, cpu_ns, read_stats, tree
from benchmarks.environments import python_environment
from benchmarks.loads import LOADS
from benchmarks.loads.base import CONCURRENCY
from benchmarks.loads.paced import WORDS, body_of, measure
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import LIMITED, ScalixGateway
from benchmarks.processes import BenchmarkError, cache_folder
from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting
from benchmarks.texts import provider_text

PY_SPY = "py-spy==0.4.3"
RECORD_S, QUICK_RECORD_S = 20, 6
_RATE_HZ = 200
_STREAMS = 64
# A line is shown that has so much of all samples, and so much less than the line it is under.
LEAST_SHARE = 0.025
LEAST_DIFFERENCE = 0.02
_FRAME = re.compile(r"^(?P<name>.+) \((?P<file>.+?)(?::\d+)?\)$")
_PACKAGES = "site-packages/"


@dataclass(slots=True)
class Frame:
    """A function in the merged stacks: how many samples were in it or below it."""

    samples: int = 0
    callees: "dict[str, Frame]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: a function, the share of all samples in it or below it, and how far it is indented."""

    depth: int
    name: str
    share: float


def merged(collapsed: Iterable[str]) -> Frame:
    """The tree of stacks in py-spy's raw format, `outer;inner samples`, whatever the line numbers. Raises ValueError
    for another format."""
    root = Frame()
    for line in collapsed:
        stack, _, count = line.rstrip("\n").rpartition(" ")
        samples = int(count)
        root.samples += samples
        frame = root
        for word in stack.split(";"):
            frame = frame.callees.setdefault(_without_line(word), Frame())
            frame.samples += samples
    return root


def widest(root: Frame, least_share: float = LEAST_SHARE, least_difference: float = LEAST_DIFFERENCE) -> list[Line]:
    """The lines worth showing, in the order of the tree, the widest first. A function that only passes on (nearly all
    of its caller's time is its own, or nearly all of its own a callee's) is left out for what it calls."""
    lines: list[Line] = []

    def visit(frame: Frame, name: str, depth: int, above: int) -> None:
        if frame.samples < root.samples * least_share:
            return
        widest_callee = max((callee.samples for callee in frame.callees.values()), default=0)
        is_passage = frame.samples - widest_callee < root.samples * least_difference
        shown = bool(name) and not is_passage and above - frame.samples >= root.samples * least_difference
        if shown:
            lines.append(Line(depth, name, frame.samples / root.samples))
        for callee, below in sorted(frame.callees.items(), key=lambda item: -item[1].samples):
            visit(below, callee, depth + shown, frame.samples if shown else above)

    visit(root, "", 0, 1 << 62)
    return lines


def _without_line(word: str) -> str:
    found = _FRAME.match(word)
    if found is None:
        return word
    return f"`{found['name']}` ({_short(found['file'])})"


def _short(file: str) -> str:
    """The file, from its package on."""
    _, packages, rest = file.rpartition(_PACKAGES)
    parts = (rest if packages else file).split("/")
    return "/".join(parts if len(parts) <= 2 else [parts[0], "…", parts[-1]])


class Profile:
    """One gateway, one worker, three loads."""

    name = "profile"
    title = "Where the rest goes"
    peers: tuple[str, ...] = ()
    only_when_named = True

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        spy = python_environment("profiler", [PY_SPY]) / "py-spy"
        place = setting.folder / "profile"
        place.mkdir()
        running = ScalixGateway("profile").start(place, setting.provider_url)
        record_s = QUICK_RECORD_S if setting.quick else RECORD_S
        text = provider_text(setting.provider_url, body_of("gpt-4o-mini"))
        loads: Mapping[str, Callable[[], object]] = {
            "Answers that are not streamed": lambda: _send(running, "not-streamed", LIMITED),
            f"{_STREAMS} paced streams": lambda: measure(running, _STREAMS, text, WORDS / 50),
            "Refused: limit used up (429)": lambda: _send(running, "refused-429", None),
        }
        parts: list[str] = []
        raw: dict[str, list[tuple[int, str, float]]] = {}
        try:
            for title, load in loads.items():
                setting.note(f"  {title}: {record_s} s")
                graph = cache_folder("flame") / f"{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}.txt"
                lines = widest(merged(_record(spy, running, load, record_s, graph)))
                raw[title] = [(line.depth, line.name, line.share) for line in lines]
                rows = [(f"{'– ' * line.depth}{line.name}", f"{100 * line.share:.0f}") for line in lines]
                parts.append(f"#### {title}\n\n{table(('', '%'), rows)}")
        finally:
            running.stop()
        about = (
            f"`py-spy record --gil` on one worker, {record_s} s at {_RATE_HZ} samples a second: the widest lines of "
            "the flame graph, each with its share of the worker's time. What only passes on is left out; a line "
            f"stands under what calls it. Shares below {100 * LEAST_SHARE:.1f} % are not shown. "
            '`make bench ARGS="--only profile"` makes it anew and leaves the stacks under `.bench/flame/`.\n\n'
        )
        return Findings(about + "\n".join(parts), raw, {})


def _send(running: Running, name: str, user: str | None) -> None:
    load = LOADS[name]
    entry = next(
        one for one in load.entries if one.peer == "gateway" and (user is None or one.body.get("user") == user)
    )
    request = load.contender(entry, "", running, 1).request
    generator.run(request, requests=100 if user else 2_000, concurrency=CONCURRENCY)


def _record(spy: Path, running: Running, load: Callable[[], object], record_s: int, target: Path) -> list[str]:
    """The stacks of the worker while `load` goes on, again and again."""
    load()
    command = [str(spy), "record", "--gil", "--format", "raw", "--rate", str(_RATE_HZ), "--duration", str(record_s)]
    command += ["--output", str(target), "--pid", str(_worker(running))]
    recording = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    ended = threading.Event()

    def drive() -> None:
        while not ended.is_set():
            load()

    driver = threading.Thread(target=drive, name="load")
    driver.start()
    try:
        output, _ = recording.communicate(timeout=record_s * 3)
    except subprocess.TimeoutExpired:
        recording.kill()
        raise BenchmarkError("py-spy did not end in time") from None
    finally:
        ended.set()
        driver.join()
    if recording.returncode != 0:
        reason = output.decode(errors="replace").strip().splitlines()[-1:]
        raise BenchmarkError(f"py-spy failed: {' '.join(reason)[:300]} (it needs the right to trace processes)")
    return target.read_text().splitlines()


def _worker(running: Running) -> int:
    """The process with the most CPU time."""
    members = [stat for stat in tree(running.process.pid, read_stats()) if stat.program not in STORE_PROGRAMS]
    return max(members, key=cpu_ns).pid
