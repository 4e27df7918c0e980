"""Measures the gain of each removed part of LiteLLM's work, and of each of its own settings."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from benchmarks.loads import LOADS
from benchmarks.loads.base import Load
from benchmarks.measure import Contender, run_rounds
from benchmarks.peers.base import Running
from benchmarks.peers.gateway import LIMITED, ScalixGateway
from benchmarks.report import table
from benchmarks.studies.base import Findings, Setting
from benchmarks.texts import provider_text
from scalix.litellm_adapter.trimming import PARTS

# Requests of each round, by load.
_REQUESTS = {"not-streamed": 100, "burst": 16}
_OVER = "BENCH_OVER_ENVIRONMENT"


@dataclass(frozen=True, slots=True)
class Variant:
    """A gateway that does one thing that is removed from the shipped one. `over` is set in its worker before LiteLLM is
    loaded; a `None` there removes a variable."""

    title: str
    left_in: frozenset[str] = frozenset()
    env: Mapping[str, str] = field(default_factory=dict)
    over: Mapping[str, str | None] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def peer(self, name: str) -> ScalixGateway:
        """The gateway to start."""
        trimmed = ",".join(sorted(PARTS.keys() - self.left_in)) or "0"
        env = {"SCALIX_TRIM_LITELLM": trimmed, **self.env}
        if self.over:
            env |= {"SCALIX_APP": f"{__name__}:create_app", _OVER: json.dumps(self.over)}
        return ScalixGateway(name, env=env, settings=self.settings)


SHIPPED = Variant("as shipped")
VARIANTS = (
    SHIPPED,
    Variant("as shipped, once more"),  # how far two of the same are apart
    Variant("nothing left out (`SCALIX_TRIM_LITELLM=0`)", frozenset(PARTS)),
    *(Variant(f"`{part}` left in", frozenset({part})) for part in sorted(PARTS)),
    Variant("`LITELLM_LOG=INFO`, not `WARNING`", env={"LITELLM_LOG": "INFO"}),
    Variant("`router_settings.disable_cooldowns: false`", settings={"router_settings": {"disable_cooldowns": False}}),
    Variant(
        "`litellm_settings.suppress_debug_info: false`", settings={"litellm_settings": {"suppress_debug_info": False}}
    ),
    Variant("`litellm_settings.telemetry: true`", settings={"litellm_settings": {"telemetry": True}}),
    Variant(
        "its admin UI and its pages of documentation", over=dict.fromkeys(("DISABLE_ADMIN_UI", "NO_DOCS", "NO_REDOC"))
    ),
    Variant("no access line (`SCALIX_ACCESS_LOG=0`)", env={"SCALIX_ACCESS_LOG": "0"}),
)


def create_app() -> object:
    """The worker's app, under the environment of a variant."""
    for name, value in json.loads(os.environ[_OVER]).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    from scalix.wiring.gate import create_app as shipped

    return shipped()


class LeftOut:
    """One gateway for each variant, by turns."""

    name = "left-out"
    title = "What is left out, part by part"
    peers: tuple[str, ...] = ()
    only_when_named = True

    def run(self, setting: Setting) -> Findings:
        """See `Study`."""
        running: dict[str, Running] = {}
        try:
            for number, variant in enumerate(VARIANTS):
                setting.note(f"  starting: {variant.title}")
                name = f"left-out-{number}"
                (setting.folder / name).mkdir()
                running[variant.title] = variant.peer(name).start(setting.folder / name, setting.provider_url)
            found = {name: _measured(LOADS[name], running, setting) for name in _REQUESTS}
        finally:
            for one in running.values():
                one.stop()
        return _findings(found, len(next(iter(found.values()))[0].turns))


def _measured(load: Load, running: Mapping[str, Running], setting: Setting) -> list[Contender]:
    entry = next(one for one in load.entries if one.peer == "gateway" and one.body.get("user") == LIMITED)
    text = provider_text(setting.provider_url, load.body("gpt-4o-mini", entry)) if load.streamed else None
    contenders = [load.contender(entry, title, one, _REQUESTS[load.name], text) for title, one in running.items()]
    run_rounds(contenders, setting.rounds, setting.note)
    return contenders


def _findings(found: Mapping[str, list[Contender]], rounds: int) -> Findings:
    rows = []
    for number, variant in enumerate(VARIANTS):
        cells = []
        for contenders in found.values():
            mine = contenders[number]
            cells += [f"{mine.figure('cpu_ms').median:.2f}", f"{mine.cpu_ratio(contenders[0]):.2f}"]
        rows.append((variant.title, *cells))
    about = (
        f"CPU of an answer that is not streamed and of a burst stream of 200 chunks, {rounds} rounds by turns; "
        "each row but the first does one thing that the shipped gateway leaves out. `×` is the median of the rounds' "
        'own ratios to the first row. `make bench ARGS="--only left-out"` makes it anew.\n\n'
    )
    header = ("", "not streamed, CPU ms", "×", "burst, CPU ms", "×")
    raw = {
        name: {one.label: [asdict(turn) for turn in one.turns] for one in rows_of} for name, rows_of in found.items()
    }
    return Findings(about + table(header, rows), raw, {})
