"""Has LiteLLM build the request to a provider, and sends nothing.

What a provider is asked, where, and with which headers is LiteLLM's knowledge: so its own `completion` runs with its
own clients, and the request is caught where it would leave the process, below every client (`provider_transport`).
What LiteLLM can't build so, it has to send itself.
"""

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

import httpx

from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.catching import CATCHING, Build, Caught
from scalix.litellm_adapter.developer_role import note_role
from scalix.litellm_adapter.direct_client import DirectRequest, Target
from scalix.litellm_adapter.dropped_values import dropped_values
from scalix.litellm_adapter.kept_caps import with_caps
from scalix.litellm_adapter.model_options import with_options
from scalix.litellm_adapter.texts_by_responses import let_know

log = logging.getLogger("scalix.provider")

# Of the connection, which is another one: the client that sends has its own.
_OF_THE_CONNECTION = frozenset({"host", "connection", "content-length", "accept-encoding", "transfer-encoding"})
_TELEMETRY = "x-stainless-"  # of OpenAI's SDK, about the machine it runs on


SIGNED = b"__thought__"
"""Stands in ids of calls that LiteLLM has made for Gemini, before the signature of what it thought."""


class Silent:
    """What LiteLLM tells of a call, it tells to nobody: this stands for its logging object."""

    def __init__(self) -> None:
        self.model_call_details: dict[str, Any] = {}
        self.optional_params: dict[str, Any] = {}
        self.litellm_params: dict[str, Any] = {}
        self.litellm_call_id = ""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _say_nothing


def _say_nothing(*args: Any, **kwargs: Any) -> None:
    return None


async def built_request(
    deployment: Mapping[str, Any], body: Mapping[str, Any], route: Route = Route.CHAT
) -> tuple[DirectRequest, tuple[str, ...]] | None:
    """The request that LiteLLM would send for `body` to `deployment`, an entry of its router's list, and the names of
    what it leaves out; `None` if it has to send it itself."""
    from litellm.main import completion, embedding, text_completion

    params = {name: value for name, value in deployment["litellm_params"].items() if value is not None}
    kwargs = {
        **params,
        **body,
        "model": params["model"],
        "model_info": deployment.get("model_info") or {},
        "metadata": {"model_group": deployment["model_name"]},
        "litellm_logging_obj": Silent(),
    }
    if route is Route.EMBEDDINGS:
        function, of_the_route = embedding, {"aembedding": True}
    elif route is Route.COMPLETIONS:
        function, of_the_route = text_completion, {"acompletion": True}
        let_know(params)
    else:
        function, of_the_route = completion, {"acompletion": True, "stream": body.get("stream", False)}  # as its router
    kwargs = note_role(with_caps(with_options({**kwargs, **of_the_route})))
    left_out = tuple(dropped_values(kwargs)) if route is Route.CHAT else ()
    request = await caught_request(partial(inspect.unwrap(function), **kwargs), route)
    return None if request is None else (request, left_out)


async def caught_request(call: Callable[[], Any], route: Route) -> DirectRequest | None:
    """The request that `call`, a call of LiteLLM's, would send; `None` if it sends none, or one of another API, or
    fails."""
    build = Build()
    caught = CATCHING.set(build)
    try:
        answer = call()
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, AsyncIterator):  # LiteLLM asks for some streams when they are read
            await anext(answer, None)
    except Caught as built:
        is_known = built.request.url.path.endswith(route.row.provider_paths)  # else its answer is of another API
        return _as_sent(built.request) if is_known else None
    except Exception as error:
        log.debug("LiteLLM has to ask itself: %s", type(error).__name__)
    finally:
        build.is_under_way = False
        CATCHING.reset(caught)
    return None


def without_signatures(messages: Any, params: Mapping[str, Any]) -> Any:
    """The messages for a deployment that is not Gemini's: OpenAI refuses an id of more than 40 characters."""
    from litellm.utils import _is_gemini_model, _remove_thought_signatures_from_messages

    if not isinstance(messages, list) or _is_gemini_model(params["model"], params.get("custom_llm_provider")):
        return messages
    return _remove_thought_signatures_from_messages(messages, SIGNED.decode())


def _as_sent(request: httpx.Request) -> DirectRequest:
    """The same for our own client, without what is of the connection, or of this one."""
    headers = [
        (name, value)
        for name, value in request.headers.multi_items()
        if name not in _OF_THE_CONNECTION and not name.startswith(_TELEMETRY)
    ]
    return DirectRequest(Target(request.url, httpx.Headers(headers), request.extensions), request.content)
