"""Every page in Chromium, in its role, both themes, narrow and wide. Run by `make browser`."""

import asyncio
import json
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from scalix.pages.all_rows import PAGE_ROWS
from scalix.pages.finding import path_to
from scalix.pages.rows import PageRow, Role
from tests.browser.world import HOSTILE, World, fill
from tests.edge.limits_rig import Instance
from tests.service.outage_rig import MASTER_KEY

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
PYTHON = Path(__file__).parents[2] / ".venv-browser" / "bin" / "python"
PAGES = [row for row in PAGE_ROWS if row.method == "GET"]


@dataclass(frozen=True)
class Served:
    """A gateway that a browser can reach, and what is in it."""

    base: str
    world: World


@pytest.fixture(scope="module")
def served(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    started: dict[str, Any] = {}
    is_up = threading.Event()

    async def serve() -> None:
        instance = Instance(store_url, tmp_path_factory.mktemp("browser"), "t-browser:", "one")
        transport: Any = instance.http._transport
        config = uvicorn.Config(transport.app, log_level="warning", lifespan="off")
        server = started["server"] = uvicorn.Server(config)
        started["world"] = await fill(instance)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            started["port"] = sock.getsockname()[1]
            is_up.set()
            await server.serve(sockets=[sock])
        await instance.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert is_up.wait(60)
    yield Served(f"http://127.0.0.1:{started['port']}", started["world"])
    started["server"].should_exit = True
    thread.join(30)


def paths_of(row: PageRow, world: World) -> list[str]:
    """A row's pages: for each `{name}` in its path all that the world has of it."""
    name = row.path.partition("{")[2].partition("}")[0]
    # An id that does not tell when it was made is found among its user's requests.
    more = {"user_id": HOSTILE[0]} if name == "request" and row.role is Role.OPERATOR else {}
    return [path_to(row.path, one, **more) for one in world.names[name]] if name else [row.path]


def walk(served: Served, role: Role, shots: Path) -> list[dict[str, Any]]:
    """What Chromium finds on all pages of a role."""
    doors = {
        Role.OPERATOR: ("/ui/sign-in", MASTER_KEY),
        Role.USER: ("/me/sign-in", served.world.key),
        Role.ANYBODY: None,
    }
    paths = [path for row in PAGES if row.role is role for path in paths_of(row, served.world)]
    asked = {"base": served.base, "paths": paths, "sign_in": doors[role], "shots": str(shots)}
    found: list[dict[str, Any]] = in_chromium(asked)
    assert {one["path"] for one in found} == set(paths)
    return found


def in_chromium(asked: Mapping[str, Any]) -> Any:
    """What `walk.py` answers."""
    script = Path(__file__).with_name("walk.py")
    ended = subprocess.run([str(PYTHON), str(script)], input=json.dumps(asked), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("role", list(Role))
def test_every_page_is_sound_in_a_browser(role: Role, served: Served, tmp_path: Path) -> None:
    found = walk(served, role, tmp_path)
    assert len(found) >= 4

    def where(names: Mapping[str, Any]) -> str:
        return f"{names['path']} at {names['width']}, {names['theme']}"

    assert [(where(one), one["status"], one["ended_at"]) for one in found if one["status"] != 200] == []
    assert [(where(one), one["ended_at"]) for one in found if one["ended_at"] != one["path"]] == []
    assert [(where(one), one["errors"]) for one in found if one["errors"]] == []
    assert [(where(one), one["over"], one["widest"]) for one in found if one["over"] > 0] == []
    assert [(where(one), one["violations"]) for one in found if one["violations"]] == []
    assert [where(one) for one in found if one["made"]] == []
    if role is Role.OPERATOR:
        told = "\n".join(one["text"] for one in found)
        assert [name for name in HOSTILE if name not in told] == []


def test_a_link_signs_in_once_and_the_scripts_of_pages_do_their_work(served: Served) -> None:
    asked = {"user_id": HOSTILE[0]}
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    link = httpx.post(f"{served.base}/scalix/v1/login-link", json=asked, headers=headers, trust_env=False).json()
    done = in_chromium({"base": served.base, "link": link["path"]})
    assert done["posts"] == ["/me/enter", "/me/data/export", "/me/data/export", "/me/enter"]
    assert done["theme"] == "dark"
    assert "used already" in done["told"]
