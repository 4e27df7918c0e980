"""What tells to which conversation a request belongs."""

from scalix.domain.affinity import LEAST_TOKENS, start_of
from scalix.edge.asgi import Scope, header
from scalix.edge.asking import serialised
from scalix.service.exchange.exchanges import Exchange

# Claude Code's, Codex's (before and after it was renamed), OpenCode's, and those of other coding clients.
_HEADERS = (
    *(b"x-session-id", b"x-claude-code-session-id", b"session_id", b"session-id"),
    *(b"x-session-affinity", b"x-litellm-session-id"),
)


def conversation_start(exchange: Exchange, scope: Scope) -> bytes:
    """What all turns of the request's conversation have in common: the id that its client gives it, else its beginning;
    nothing where no provider would have it in its cache. Raises `BadRequest` for a body that can't be written."""
    admission = exchange.admission
    if not admission.route.row.is_chat:
        return b""
    body = admission.call.body
    named = body.get("prompt_cache_key") or next((found for name in _HEADERS if (found := header(scope, name))), None)
    if isinstance(named, str):
        return b"id " + named.encode("utf-8", "surrogatepass")
    if admission.reservation.ask.prompt_tokens < LEAST_TOKENS:
        return b""
    return serialised({"start": start_of(body)})
