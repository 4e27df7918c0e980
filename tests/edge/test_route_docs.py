"""The documentation of the routes is what the edge's list says."""

from pathlib import Path

import pytest

from scalix.edge.routes import ROWS, all_routes, find
from tests.edge.gates import in_process
from tools.route_docs import PAGES, ROOT, whole


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    written = (ROOT / name).read_text(encoding="utf-8")
    assert written == whole(name), f"{name} is out of date: run python tools/route_docs.py"


def test_every_route_of_the_list_is_found_by_its_path() -> None:
    seen = set()
    for path, method, target in all_routes():
        real = path.replace("{id}", "some-model")
        methods = find(real, real.encode())
        assert methods is not None
        assert methods[method] is target
        seen.add(target)
    assert set(ROWS) <= seen


async def test_every_row_has_what_answers_it_and_nothing_else_is_answered(tmp_path: Path, store_url: str) -> None:
    async with in_process(tmp_path, store_url) as edge:
        assert set(edge.gate._own.answers) == set(ROWS)
