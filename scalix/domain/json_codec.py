"""How JSON is read and written: handed in, since the quick packages for it are not the domain's to import."""

from collections.abc import Callable
from typing import Any, NamedTuple

Loads = Callable[[bytes], Any]
Dumps = Callable[[Any], bytes]


class JsonCodec(NamedTuple):
    """A reader and a writer. `loads` raises `ValueError` for what is no JSON."""

    loads: Loads
    dumps: Dumps
