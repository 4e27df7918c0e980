"""What watches the gateway speaks of metrics that there are, and every alert says what to do."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from ruamel.yaml import YAML

from scalix.domain.metric_families import FAMILIES

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
WATCHING = [
    *(DEPLOY / "prometheus").glob("*.yaml"),
    *(DEPLOY / "grafana" / "dashboards").glob("*.json"),
    *(DEPLOY / "kubernetes").glob("*.yaml"),
]


def rules() -> list[dict[str, Any]]:
    text = (DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8")
    found = [rule for group in YAML(typ="safe").load(text)["groups"] for rule in group["rules"]]
    return [rule for rule in found if "alert" in rule]


@pytest.mark.parametrize("path", WATCHING, ids=lambda path: path.name)
def test_every_metric_that_is_asked_for_is_one(path: Path) -> None:
    asked = set(re.findall(r"\bscalix_(\w+)", path.read_text(encoding="utf-8")))
    known = {name + suffix for name in FAMILIES for suffix in ("", "_bucket", "_count", "_sum")}
    assert asked <= known


def test_figures_of_the_whole_store_are_never_added_up() -> None:
    for path in WATCHING:
        assert not re.search(r"sum( by \([^)]*\))? ?\((rate\()?scalix_store_", path.read_text(encoding="utf-8")), path


def test_every_alert_has_a_section_of_its_own_that_says_what_to_do() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")[1:]}
    assert sorted(sections) == sorted(rule["alert"] for rule in rules())
    for rule in rules():
        section = sections[rule["alert"]]
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert f"*{rule['labels']['severity']}*" in section
        assert all(f"**{part}.**" in section for part in ("What it means", "What to look at", "What to do"))
    assert len(rules()) >= 15


def test_every_alert_has_figures_at_which_it_fires_and_some_at_which_it_does_not() -> None:
    text = (DEPLOY / "prometheus" / "alerts_test.yaml").read_text(encoding="utf-8")
    tests = {one["name"] for one in YAML(typ="safe").load(text)["tests"]}
    assert tests == {f"{rule['alert']} {how}" for rule in rules() for how in ("fires", "is silent")}


@pytest.mark.parametrize("path", [*(DEPLOY / "grafana" / "dashboards").glob("*.json")], ids=lambda path: path.name)
def test_dashboards_ask_the_source_that_is_provisioned(path: Path) -> None:
    sources = YAML(typ="safe").load(
        (DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml").read_text(encoding="utf-8")
    )["datasources"]
    panels = orjson.loads(path.read_bytes())["panels"]
    asked = {one["datasource"]["uid"] for panel in panels for one in (panel, *panel["targets"])}
    assert asked == {source["uid"] for source in sources}
    assert len({panel["id"] for panel in panels}) == len(panels)
