"""Names that are part of a path, as they were meant."""

from urllib.parse import unquote_to_bytes

from scalix.domain.errors import BadRequest
from scalix.edge.asgi import Scope


def name_in(scope: Scope, before: str, after: str = "", *, param: str) -> str:
    """What stands in the path between two parts of it, percent-decoded. Raises `BadRequest`."""
    name = scope["raw_path"].removeprefix(before.encode()).removesuffix(after.encode())
    try:
        return unquote_to_bytes(name).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(
            f"The {param.replace('_', ' ')} in the path is not UTF-8, percent-encoded.", param=param
        ) from None
