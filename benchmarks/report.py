"""Writes tables in Markdown and puts them into docs/performance.md."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from benchmarks.measure import Contender, Summary


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [list(header), ["---", *["---:"] * (len(header) - 1)], *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(summary: Summary, decimals: int) -> str:
    """`median (least to most)`."""
    return f"{summary.median:.{decimals}f} ({summary.least:.{decimals}f} to {summary.most:.{decimals}f})"


HEADER = ("", "CPU ms/request", "× baseline", "store CPU ms", "requests/s", "p50 ms", "p99 ms", "MiB", "status")


def load_table(contenders: Sequence[Contender], baseline: Contender | None) -> str:
    """One load's table. `baseline` is the row that CPU is divided by."""
    return table(HEADER, (_row(contender, baseline) for contender in contenders))


def _row(contender: Contender, baseline: Contender | None) -> list[str]:
    cpu = contender.figure("cpu_ms")
    decimals = 3 if cpu.median < 1 else 2
    return [
        contender.label,
        spread(cpu, decimals),
        "" if baseline is None else ratio(contender.cpu_ratio(baseline)),
        f"{contender.figure('store_cpu_ms').median:.3f}",
        f"{contender.figure('requests_per_s').median:.0f}",
        f"{contender.figure('whole_p50_ms').median:.1f}",
        f"{contender.figure('whole_p99_ms').median:.1f}",
        f"{contender.figure('rss_mib').median:.0f}",
        ", ".join(statuses(contender.seen)),
    ]


def statuses(seen: Counter[int]) -> list[str]:
    """The statuses, all but the most common one with their number."""
    ranked = seen.most_common()
    return [str(status) if not rank else f"{status} ({count})" for rank, (status, count) in enumerate(ranked)]


def ratio(value: float) -> str:
    """Two decimals; a small one as a fraction, such as `1/34`."""
    return f"1/{1 / value:.0f}" if value < 0.1 else f"{value:.2f}"


def placed(document: str, name: str, text: str) -> str:
    """`document` with `text` between the markers of `name`, which are added at its end if they are missing."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- end:{name} -->"
    block = f"{begin}\n{text.strip()}\n{end}"
    pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.S)
    if pattern.search(document):
        return pattern.sub(lambda _: block, document, count=1)
    return f"{document.rstrip()}\n\n{block}\n"
