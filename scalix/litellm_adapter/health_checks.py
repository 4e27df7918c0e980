"""Asks a deployment for one token, by LiteLLM's own check, whichever engine serves it; and says who is to blame.

Listing a server's models would cost nothing, and say little: a server lists them whose account is used up, or whose
model hangs.
"""

import asyncio
import copy
from collections.abc import Iterable
from typing import Any

from scalix.domain.failures import REFUSALS, ErrorClass
from scalix.domain.health_checks import Verdict
from scalix.domain.policy import Model
from scalix.litellm_adapter.blame import shown_root
from scalix.litellm_adapter.direct_requests import deployment_of
from scalix.litellm_adapter.warm_up import nobodys_exchange
from scalix.service.exchange.attempts import ProviderError
from scalix.service.exchange.exchanges import CURRENT

_MOST_TOKENS = 1
_PROMPT = "hi"
# Of a check of all at once.
_MOST_AT_ONCE = 16
_LONGEST_S = 30
_WORDS = {
    ErrorClass.AUTH: "it does not take the gateway's key",
    ErrorClass.PROVIDER_QUOTA: "the gateway's account there is used up",
    ErrorClass.PROVIDER_RATE_LIMIT: "it takes no more requests for now",
    ErrorClass.NETWORK: "it can't be reached",
    ErrorClass.TIMEOUT: "it takes too long",
}


async def check_deployment(model: str, chosen: str, timeout_s: int) -> Verdict:
    """Whether the deployment `chosen` of a model, or its only one, answers within so many seconds. Settings of its
    `model_info` hold as in LiteLLM: `mode`, `health_check_model`, `health_check_max_tokens` and others."""
    deployment = deployment_of(model, chosen)
    if deployment is None:
        return Verdict(is_failing=False, reason="LiteLLM does not know it")
    exchange = nobodys_exchange("health")
    token = CURRENT.set(exchange)
    try:
        async with asyncio.timeout(timeout_s):
            said = await _ask(copy.deepcopy(deployment), timeout_s)
    except TimeoutError:
        return Verdict(is_failing=True, reason=f"it did not answer within {timeout_s} s")
    finally:
        CURRENT.reset(token)
    if "error" not in said:
        return Verdict(is_failing=False)
    seen = exchange.attempt.seen.error
    return _own_fault(said.get("exception")) if seen is None else _verdict(seen)


async def check_models(models: Iterable[Model]) -> dict[str, Any]:
    """Asks every deployment of `models` once: which answer, by the config's names, and why the others don't."""
    names = [(model.name, way.id if model.deployments else "") for model in models for way in model.ways]
    room = asyncio.Semaphore(_MOST_AT_ONCE)

    async def checked(model: str, chosen: str) -> tuple[bool, dict[str, str]]:
        async with room:
            verdict = await check_deployment(model, chosen, _LONGEST_S)
        shown = {"model": model, **({"deployment": chosen} if chosen else {})}
        why = {"error" if verdict.is_failing else "note": verdict.reason} if verdict.reason else {}
        return verdict.is_failing, {**shown, **why}

    found = await asyncio.gather(*(checked(*name) for name in names))
    healthy, unhealthy = ([shown for fails, shown in found if fails is which] for which in (False, True))
    return {
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
        "healthy_count": len(healthy),
        "unhealthy_count": len(unhealthy),
    }


async def _ask(deployment: dict[str, Any], timeout_s: int) -> dict[str, Any]:
    """What LiteLLM's check says; with `error` in it if there was no answer."""
    import litellm
    from litellm.proxy.health_check import resolve_health_check_mode, update_litellm_params_for_health_check

    info = {"health_check_max_tokens": _MOST_TOKENS, **(deployment.get("model_info") or {})}
    params = {name: value for name, value in deployment["litellm_params"].items() if value is not None}
    mode = resolve_health_check_mode(info, params)
    params = update_litellm_params_for_health_check(info, params)
    params.update(max_retries=0, num_retries=0, timeout=timeout_s)
    said: dict[str, Any] = await litellm.ahealth_check(params, mode=mode, prompt=_PROMPT, input=[_PROMPT])
    return said


def _verdict(seen: ProviderError) -> Verdict:
    if seen.error_class in REFUSALS:  # it has judged the request, so it is there
        return Verdict(is_failing=False, reason=f"it refuses the check ({seen.status})")
    said = _WORDS.get(seen.error_class, "it does not answer as it should")
    return Verdict(is_failing=True, reason=said if seen.is_of_the_connection else f"{said} ({seen.status})")


def _own_fault(error: object) -> Verdict:
    """LiteLLM could not ask, or not read the answer: nobody knows how the deployment does."""
    why = shown_root(error) if isinstance(error, BaseException) else "for an unknown reason"
    return Verdict(is_failing=False, reason=f"LiteLLM can't check it: {why}")
