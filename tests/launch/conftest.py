"""What the launcher's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.running import Gateway, Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


@pytest.fixture
def gateway(place: Place) -> Gateway:
    return place.start()
