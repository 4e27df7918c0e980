"""A unit of limits and a field of the ledger are added to a copy of the package, by the files of ARCHITECTURE.md."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Charge, Outcome, Receipt, Tally
from tests.store.stores import redis_rig

ROOT = Path(__file__).resolve().parent.parent
Edit = tuple[str, str, str]  # a file below scalix/, a text of it, and what is added after that

_OF_DETAIL = "    failed_deployments: tuple[str, ...] = ()\n"
_LATER = 'EventField("failed_deployments", names_word, names_of, since=3, is_operators=True),\n'
UNIT: list[Edit] = [
    (
        "domain/limits/limits.py",
        "            per_header=1_000,\n        ),\n    )\n",
        '    IMAGES = "images", Unit("images", "images", "No images are", "used", "Send fewer.", True, True)\n',
    ),
    ("domain/limits/quota.py", "    among_others: bool = False\n", "    images: int = 0\n"),
    ("domain/limits/tallies.py", "nano_usd_held: int = 0\n", "    images_used: int = 0\n    images_held: int = 0\n"),
    ("domain/ledger/ledger.py", _LATER, '    EventField("images", since=5),\n'),
    ("domain/ledger/ledger.py", _OF_DETAIL, "    images: int = 0\n"),
    (
        "store/lua/windows.lua",
        "may_be_none = true}, -- nano-dollars\n",
        "{word = 30, is_exact = true, may_be_none = true},\n",
    ),
    (
        "service/exchange/asks.py",
        "        least_prompt_tokens=size.least_tokens,\n",
        "        images=str(call.body).count(\"'type': 'image_url'\"),\n",
    ),
    (
        "launch/config/config_schema.py",
        "    spend_usd: WindowsSection[NanoUsd] | None = None\n",
        "    images: WindowsSection[Count] | None = None\n",
    ),
]
FIELD: list[Edit] = [
    ("domain/ledger/ledger.py", _LATER, '    *_names("region", since=5),\n'),
    ("domain/ledger/ledger.py", _OF_DETAIL, '    region: str = ""\n'),
    ("service/exchange/endings.py", "            fallbacks=ending.tried,\n", '            region="eu west",\n'),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package with both added. The unit's word comes first among the later ones, as its row in Lua says."""
    shutil.copytree(ROOT / "scalix", tmp_path / "scalix", ignore=shutil.ignore_patterns("*.pyc.*"))
    for name, text, added in [*FIELD, *UNIT]:
        path = tmp_path / "scalix" / name
        before = path.read_text(encoding="utf-8")
        assert before.count(text) == 1, (name, text)
        path.write_text(before.replace(text, text + added), encoding="utf-8")
    return tmp_path


async def test_a_unit_and_a_field_that_are_added_work_everywhere_and_beside_the_version_before(
    copy: Path, store_url: str, key_prefix: str
) -> None:
    rig = redis_rig(store_url, key_prefix)
    receipt = Receipt("old", "user:old", rig.clock(), 5, 10, False)
    detail = Detail(tier="free", model="gpt-4", served="gpt-4")
    await rig.quotas.settle(receipt, Charge(Outcome.SUCCESS, 1, 9, 0, detail=detail))
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.adding_a_metric", store_url, key_prefix, str(copy)]
    run = partial(subprocess.run, command, cwd=copy, env=environ, capture_output=True, text=True, timeout=120)
    done = await asyncio.to_thread(run, check=False)
    assert done.returncode == 0, done.stderr
    # The version before reads on, and leaves the unit that it does not know as it is.
    assert (await rig.quotas.settle(receipt, Charge(Outcome.SUCCESS, 1, 9, 0))).status == "duplicate"
    newer = replace(receipt, request_id="newer", subject="user:new")
    settled = await rig.quotas.settle(newer, Charge(Outcome.SUCCESS, 1, 3, 0))
    assert settled.tallies[Window.DAY] == Tally(2, 12, 0)
    assert rig.keys is not None
    windows = await rig.client.hgetall(rig.keys.windows("user:new"))
    assert set(windows.values()) == {"2 12 0 0 0 0 4 0"}
    assert len(await rig.ledger.events("user:new", rig.clock() // 86_400_000)) == 2
    await rig.close()


@pytest.mark.parametrize(
    ("title", "edits", "most_files"),
    [
        pytest.param("A unit of limits", UNIT, 12, id="unit"),
        pytest.param("A field of the ledger", FIELD, 4, id="field"),
    ],
)
def test_as_many_files_are_touched_as_the_page_says(title: str, edits: list[Edit], most_files: int) -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = page.partition(f"**{title}")[2].partition("\n\n**")[0]
    numbered = "\n".join(re.findall(r"^\d\. .*(?:\n   .*)*", section, re.MULTILINE))
    said = set(re.findall(r"`([\w/]+\.(?:py|lua|md))", numbered))
    touched = {name for name, _, _ in edits}
    assert touched <= said
    assert all(name.startswith(("docs/", "tests/")) for name in said - touched)
    assert len(said) <= most_files
