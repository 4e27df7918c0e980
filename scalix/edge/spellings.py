"""Other ways to write the paths of the front door's list: with a slash at the end, and Azure's, whose path names the
model. They are rewritten before anything goes by them."""

from urllib.parse import unquote_to_bytes

from scalix.domain.errors import BadRequest
from scalix.edge.asgi import Scope

# Where a scope says which model its path names.
MODEL_OF_PATH = "scalix_model_of_path"
_AZURE, _DEPLOYMENTS = "/openai", "/openai/deployments/"
_OF_DEPLOYMENTS = ("chat/completions", "completions", "embeddings")


def normalise_path(scope: Scope) -> None:
    """Put the path of the list in place of another way to write it. Raises `BadRequest`."""
    raw = scope["raw_path"]
    if len(raw) > 1 and raw.endswith(b"/") and not raw.endswith(b"//"):
        raw = raw[:-1]
        scope.update(path=scope["path"].removesuffix("/"), raw_path=raw)
    if not raw.startswith(b"/openai/"):
        return
    text = raw.decode("latin-1")
    if text.startswith(_AZURE + "/v1/"):
        scope.update(path=scope["path"].removeprefix(_AZURE), raw_path=raw.removeprefix(_AZURE.encode()))
    elif text.startswith(_DEPLOYMENTS):
        name, _, rest = text.removeprefix(_DEPLOYMENTS).partition("/")
        if name and rest in _OF_DEPLOYMENTS:
            path = f"/v1/{rest}"
            scope.update(path=path, raw_path=path.encode())
            scope[MODEL_OF_PATH] = _decoded(name)


def _decoded(name: str) -> str:
    try:
        return unquote_to_bytes(name).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The deployment in the path is no text in UTF-8.") from None
