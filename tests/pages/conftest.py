"""What most tests of pages begin with: an instance, and a browser at it that is signed in as the operator."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, instance_at, operator


@pytest.fixture
async def instance(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    async with instance_at(store_url, key_prefix, tmp_path) as one:
        yield one


@pytest.fixture
async def browser(instance: Instance) -> Browser:
    return await operator(instance)
