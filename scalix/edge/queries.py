"""A URL's parameters."""

from urllib.parse import parse_qs

from scalix.domain.errors import BadRequest
from scalix.edge.asgi import Scope


def query_of(scope: Scope) -> dict[str, str]:
    """The URL's parameters; of one that is there twice, the first value."""
    try:
        parsed = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise BadRequest("The URL has more parameters than any route takes.") from None
    return {name: values[0] for name, values in parsed.items()}
