"""All that is checked of a body before anything is counted, for the edge and for the hooks where there is none."""

from collections.abc import Collection
from typing import Any

from scalix.domain.requests.dropped import Dropped
from scalix.domain.requests.routes import Route
from scalix.domain.requests.schema_weight import check_schemas
from scalix.edge.allowed_fields import check_fields
from scalix.edge.body_shapes import check_shapes
from scalix.edge.outbound_urls import check_outbound_urls


def check_body(route: Route, body: dict[str, Any], extras: Collection[str] = (), *, strict: bool = False) -> Dropped:
    """Raise `BadRequest` for what the route does not take: fields that steer LiteLLM, shapes that break it, addresses
    inside the network, schemas that grow. `extras` are fields that the operator allows. Returns those that were taken
    out of `body` because they mean nothing here; if `strict`, they are refused."""
    dropped = check_fields(route, body, extras, strict=strict)
    check_shapes(route, body)
    check_outbound_urls(body)
    check_schemas(body)
    if route is Route.RESPONSES and body.get("input") is None:
        body["input"] = []  # beside a prompt that the provider keeps; LiteLLM wants one
    return dropped
