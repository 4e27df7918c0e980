"""Plain mode: the gateway's hooks under `litellm --config`, without its edge."""

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import Any

from scalix.domain.requests.routes import Route
from scalix.launch.problems import LaunchError, Problem
from scalix.wiring.core import build_core
from scalix.wiring.environment import wrong
from scalix.wiring.exchange import ModelKnowledge

NOT_DONE = (
    "plain mode: LiteLLM reads this config by itself, and the gateway's edge is not there. Chat completions and the "
    "list of models are served, by LiteLLM whatever scalix.engine says, and nothing else. A model that fails is not "
    "taken over from: LiteLLM's fallbacks, which know no tier, reach none, and scalix.fallbacks, retries, cooldowns "
    "and routes (custom_router with them) are the edge's, and so are its health checks: background_health_checks are "
    "LiteLLM's, in each worker. Second names (model_group_alias) and user_header_name name nothing. What LiteLLM drops "
    "by drop_params is not named in x-scalix-dropped, and there are no x-ratelimit headers, no traces of the "
    "gateway's and no pages. SCALIX_TLS_CERTIFICATE is the edge's too: litellm has --ssl_certfile_path. "
    "For all of that start start_scalix_litellm.py."
)
log = logging.getLogger("scalix.callbacks")


def ensure_plain_services() -> None:
    """Install the services that the hooks call, unless the edge has installed its own."""
    from scalix.edge.body_checks import check_body
    from scalix.edge.lifespan import start_jobs
    from scalix.litellm_adapter.app import model_facts, report_every_call
    from scalix.litellm_adapter.bridge import Services, bridge
    from scalix.litellm_adapter.provider_transport import install_reading
    from scalix.litellm_adapter.tokenizers import tokenizer

    if bridge.services is not None:
        return
    report_every_call()
    install_reading()
    core = build_core(_plain_environment(os.environ), ModelKnowledge(model_facts(), tokenizer()))

    def check(body: dict[str, Any]) -> None:
        check_body(Route.CHAT, body, core.policy.current.guard.extra_body_fields.get(Route.CHAT, ()), strict=True)

    log.warning(NOT_DONE)
    part = core.exchange
    services = Services(
        core.callers.identity, part.admission, part.settlement, part.exchanges, under_edge=False, check=check
    )
    bridge.services = services
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return  # imported by a tool, not by a serving proxy
    start_jobs(core.jobs)


def _plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    from scalix.launch.settings.redis_url import redis_url

    values = dict(environ)
    values.setdefault("SCALIX_CONFIG", values.get("CONFIG_FILE_PATH") or "litellm_proxy_config.yaml")
    if "SCALIX_STORE_URL" not in values:
        problems: list[Problem] = []
        url = redis_url(values, lambda name, what, fix: problems.append(Problem(name, what, fix)))
        if problems:
            raise LaunchError(problems)
        if url is None:
            fix = "set REDIS_URL, or start the gateway with start_scalix_litellm.py, which brings a store"
            raise wrong("no store is named", fix)
        values["SCALIX_STORE_URL"] = url
    return values
