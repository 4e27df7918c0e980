"""Charts as SVG with classes only, each with a table of the same figures.

Only shapes are drawn: they are stretched to the width that there is. Words and figures stand around them as HTML, and
so are as large on a telephone as elsewhere.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date
from math import ceil, floor, log10

from markupsafe import Markup

from scalix.pages.formats import NOTHING, shown

WIDTH, HEIGHT = 720, 200
_MOST_LABELS = 5
Figure = float | int | None
Series = tuple[str, Sequence[Figure]]
"""A name, and a figure for each label; `None` where there is none."""

_FIGURE = Markup(
    '<figure class="chart"><figcaption><span class="chart-title">{title}</span>{legend}</figcaption>'
    '<div class="plot"><div class="y-axis" aria-hidden="true">{marks}</div>'
    '<svg class="{kind}" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
    'aria-labelledby="{ident}-t {ident}-d"><title id="{ident}-t">{title}</title>'
    '<desc id="{ident}-d">{description}</desc>'
    '{grid}{shapes}</svg><div class="x-axis" aria-hidden="true">{labels}</div></div>'
    "<details><summary>Figures as a table</summary>"
    '<div class="scroll" tabindex="0" role="region" aria-label="{title}: figures">'
    "<table><thead><tr><th scope=col>Day</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    "</figure>"
)


def line(title: str, labels: Sequence[str], series: Sequence[Series], kind: str = "number") -> Markup:
    """Lines over days. `kind` is that of the figures, as `formats.shown` has it."""
    top, shapes = _top(figure for _, values in series for figure in values), Markup()
    step = WIDTH / max(len(labels) - 1, 1)
    for index, (_, values) in enumerate(series, 1):
        points = [(number * step, _y(value, top)) for number, value in enumerate(values) if value is not None]
        if not points:
            continue
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        if len(series) == 1:
            ends = points[-1][0], HEIGHT, points[0][0], HEIGHT
            area = f"M{path}L{ends[0]:.1f} {ends[1]}L{ends[2]:.1f} {ends[3]}Z"
            shapes += Markup('<path class="area s{}" d="{}"/>').format(index, area)
        if len(points) == 1:
            path += f"l{WIDTH if len(labels) == 1 else 6} 0"
        shapes += Markup('<path class="line s{}" d="M{}"/>').format(index, path)
    hovers = Markup().join(
        Markup('<rect class="hover" x="{:.1f}" y="0" width="{:.1f}" height="{}"><title>{}</title></rect>').format(
            max(0.0, number * step - step / 2), step, HEIGHT, _told(label, number, series, kind)
        )
        for number, label in enumerate(labels)
    )
    return _figure("lines", title, labels, series, kind, (top, shapes + hovers))


def bars(title: str, labels: Sequence[str], series: Sequence[Series], kind: str = "number") -> Markup:
    """A bar for each day; of several series, one upon the other."""
    sums = [sum(values[number] or 0 for _, values in series) for number in range(len(labels))]
    top, shapes = _top(sums), Markup()
    step = WIDTH / max(len(labels), 1)
    gap = min(step * 0.25, 6.0)
    for number, label in enumerate(labels):
        bottom, parts = float(HEIGHT), Markup()
        for index, (_, values) in enumerate(series, 1):
            height = HEIGHT - _y(values[number] or 0, top)
            if height <= 0:
                continue
            bottom -= height
            parts += Markup('<rect class="bar s{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                index, number * step + gap / 2, bottom, step - gap, height
            )
        told = _told(label, number, series, kind)
        hover = Markup('<rect class="hover" x="{:.1f}" y="0" width="{:.1f}" height="{}"/>').format(
            number * step, step, HEIGHT
        )
        shapes += Markup("<g><title>{}</title>{}{}</g>").format(told, parts, hover)
    return _figure("bars", title, labels, series, kind, (top, shapes))


def _short(label: str) -> str:
    """A date as an axis has room for it: `30 Nov`."""
    try:
        return f"{date.fromisoformat(label):%-d %b}"
    except ValueError:
        return label


def _figure(
    kind: str,
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    figures: str,
    drawn: tuple[float, Markup],
) -> Markup:
    top, shapes = drawn
    legend = Markup().join(
        Markup('<span class="key"><i class="swatch s{}"></i>{}</span>').format(index, name)
        for index, (name, _) in enumerate(series, 1)
    )
    rows = Markup().join(
        Markup("<tr><th scope=row>{}</th>{}</tr>").format(
            label,
            Markup().join(
                Markup('<td class="figure">{}</td>').format(_cell(values[at], figures)) for _, values in series
            ),
        )
        for at, label in enumerate(labels)
    )
    span = f", {labels[0]} to {labels[-1]}" if labels else ""
    return _FIGURE.format(
        kind=kind,
        title=title,
        ident="c" + hashlib.sha256(title.encode()).hexdigest()[:8],
        description=f"{', '.join(name for name, _ in series)}{span}. The table below has the figures.",
        legend=Markup('<span class="legend">{}</span>').format(legend) if len(series) > 1 else "",
        marks=Markup().join(Markup("<span>{}</span>").format(_cell(top * part, figures)) for part in (1, 0.5, 0)),
        width=WIDTH,
        height=HEIGHT,
        grid=Markup('<path class="grid" d="M0 {0}H{2}M0 {1}H{2}M0 {3}H{2}"/>').format(
            1, HEIGHT // 2, WIDTH, HEIGHT - 1
        ),
        shapes=shapes,
        labels=Markup().join(Markup("<span>{}</span>").format(_short(label)) for label in _some(labels)),
        heads=Markup().join(Markup('<th scope=col class="figure">{}</th>').format(name) for name, _ in series),
        rows=rows,
    )


def _cell(value: Figure, kind: str) -> str:
    return NOTHING if value is None else str(shown(value, kind, 0))


def _told(label: str, number: int, series: Sequence[Series], kind: str) -> str:
    """What a pointer reads: the label, then each figure with its name, where there are several."""
    told = [(f"{name} " if len(series) > 1 else "") + _cell(values[number], kind) for name, values in series]
    return f"{label}: {', '.join(told)}"


def _y(value: float, top: float) -> float:
    return HEIGHT - max(0.0, value) / top * (HEIGHT - 2)


def _top(values: Iterable[Figure]) -> float:
    """The least round figure that is not less than all of `values`, whose half is round too."""
    most = max((value for value in values if value is not None), default=0)
    if most <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(most))
    return float(next(step * unit for step in (1, 2, 4, 6, 8, 10) if most <= step * unit * (1 + 1e-9)))


def _some(labels: Sequence[str]) -> list[str]:
    """At most five of the labels: the first, the last, and others between at the same distance."""
    if len(labels) <= _MOST_LABELS:
        return list(labels)
    step = (len(labels) - 1) / (_MOST_LABELS - 1)
    return [labels[ceil(number * step - 0.5)] for number in range(_MOST_LABELS)]
