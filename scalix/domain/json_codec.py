"""Functions that read and write JSON, passed in because the domain may not import the fast packages for it."""

from collections.abc import Callable
from typing import Any, NamedTuple

Loads = Callable[[bytes], Any]
Dumps = Callable[[Any], bytes]


class JsonCodec(NamedTuple):
    """A reader and a writer of JSON. `loads` raises `ValueError` for a text that is no JSON."""

    loads: Loads
    dumps: Dumps
