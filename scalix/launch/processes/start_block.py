"""The block that the terminal shows when the gateway is ready: address, key, a request to paste, log, how to stop."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from scalix.launch.config.deployments import lack
from scalix.launch.home import CODE, IN_CHECKOUT, START_SCRIPT
from scalix.launch.problems import one_of, shown_path
from scalix.launch.processes.plan import Plan
from scalix.launch.processes.ports import base_url
from scalix.launch.settings.master_key import MASTER_KEY_FILE
from scalix.launch.settings.tls import read_key_pair


def start_block(plan: Plan, *, url: str, log_file: Path, version: str) -> list[str]:
    """The lines of the block. They never hold the key itself, only how a shell finds it."""
    key, source = key_in_a_shell(plan)
    tries = [("try", line) for line in _without_models(plan)] or list(_requests(plan, url, key))
    stop = f"{stop_command(plan)}" if plan.detached else f"Ctrl-C here, or: {stop_command(plan)}"
    demo = (
        ["", "  Every answer comes from the demo provider: no provider is called, no key is used."] if plan.demo else []
    )
    return [
        "",
        f"Scalix gateway {version} is ready at {url}",
        *demo,
        "",
        f"  key   {source}",
        *(f"  {label:<5} {line}" for label, line in tries),
        *(f"  pages {line}" for line in page_lines(plan, url)),
        f"  log   {log_file}",
        f"  stop  {stop}",
        "",
    ]


def page_lines(plan: Plan, url: str) -> Iterator[str]:
    """Where a browser finds the pages, or what to set so that it does."""
    ui = plan.config.policy.ui
    if not ui.enabled:
        return
    yield f"{url}/me for users"
    if ui.is_closed_in(production=plan.settings.production):
        yield "/ui is closed in production: set scalix.ui.allow to the networks that may open it, or scalix.ui.port"
    elif ui.port:
        own = base_url(plan.settings.host, ui.port, tls=plan.settings.tls is not None)
        yield f"{own}/ui for operators"
    else:
        yield f"{url}/ui for operators" + (f", from {', '.join(ui.allow)}" if ui.allow else "")


def _requests(plan: Plan, url: str, key: str) -> Iterator[tuple[str, str]]:
    """Commands to paste: one that asks a model for a user who may use it, and before it one that makes that user."""

    def curl(path: str, body: Mapping[str, object]) -> str:
        data = shlex.quote(json.dumps(body))
        return (
            f'{curl_i} {address}{path} -H "Authorization: Bearer {key}" -H "Content-Type: application/json" -d {data}'
        )

    curl_i, address = _reached(plan, url)
    policy = plan.config.policy
    default = policy.tiers[policy.default_tier]
    modes = {
        entry["model_name"]: entry.get("model_info", {}).get("mode") for entry in plan.config.litellm["model_list"]
    }
    models = [model for model in plan.models if modes.get(model) in (None, "chat", "responses")] or plan.models
    pairs = ((model, tier) for tier in (default, *policy.tiers.values()) for model in models if tier.allows(model))
    model, tier = next(pairs, (models[0], None))
    body: dict[str, object] = {"model": model}
    if tier is not None:
        body["user"] = "alice" if tier is default else f"alice-{tier.name}"
        if tier is not default:
            yield "user", curl("/user/new", {"user_id": body["user"], "tier": tier.name})
    yield "try", curl("/v1/chat/completions", {**body, "messages": [{"role": "user", "content": "Hello"}]})


def _reached(plan: Plan, url: str) -> tuple[str, str]:
    """How curl reaches the gateway from this machine: the command, and the address, which by TLS has a name that the
    certificate is for."""
    tls = plan.settings.tls
    if tls is None:
        return "curl -i", url
    command, parts = f"curl -i --cacert {shlex.quote(str(tls.certificate))}", urlsplit(url)
    names, here = read_key_pair(tls).names, parts.hostname or ""
    name = next((name for name in names if "*" not in name), here)
    if here in names or name == here:
        return command, url
    return f"{command} --resolve {name}:{parts.port}:{parts.netloc.rpartition(':')[0]}", f"https://{name}:{parts.port}"


def _without_models(plan: Plan) -> Iterator[str]:
    if not plan.models:
        variables = list(dict.fromkeys(variable for _, variable in plan.config.left_out))
        what = f"set {one_of(variables)}" if variables else "add one to the config"
        yield f"no model is in service: {what}, and start again; or start with --demo"


def key_in_a_shell(plan: Plan) -> tuple[str, str]:
    """How a shell reads the master key inside double quotes, and words that say where the key is."""
    if plan.settings.master_key is None:
        path = plan.settings.state_dir / MASTER_KEY_FILE
        return f"$(cat {shlex.quote(str(path))})", f"the master key, in {path}"
    name = plan.environment.master_key_name
    if not name:
        return "$LITELLM_MASTER_KEY", f"the master key, in {plan.settings.config_path}; set LITELLM_MASTER_KEY to it"
    secret_file = plan.environment.secret_files.get(name)
    if secret_file is not None:
        path = secret_file.absolute()
        return f"$(cat {shlex.quote(str(path))})", f"the master key, in {path}"
    origin, _, line = plan.environment.origins.get("LITELLM_MASTER_KEY", "").rpartition(":")
    if not origin:
        return f"${name}", f"the master key, in ${name}"
    path = Path(origin).absolute()
    if _stands_bare(path, int(line), name, plan.settings.master_key):
        command = f"sed -n 's/^{name}=//p' {shlex.quote(str(path))}"
    else:
        command = f"{_python()} -m dotenv -f {shlex.quote(str(path))} get {name}"
    return f"$({command})", f"the master key, {name} in {path}"


def stop_command(plan: Plan) -> str:
    """The command that stops this gateway, from the current directory."""
    prefix = ""
    if "SCALIX_STATE_DIR" in plan.environment.values and "SCALIX_STATE_DIR" not in plan.environment.origins:
        prefix = f"SCALIX_STATE_DIR={shlex.quote(str(plan.settings.state_dir))} "
    if not IN_CHECKOUT:
        return f"{prefix}{shlex.quote(shown_path(Path(sys.argv[0]).absolute()))} stop"
    return f"{prefix}{_python()} {shlex.quote(shown_path(CODE / START_SCRIPT))} --stop"


def _stands_bare(path: Path, line: int, name: str, key: str) -> bool:
    """Whether the env file has the key once, in this line, without quotes."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    settings = [text for text in lines if text.startswith(f"{name}=")]
    return settings == [f"{name}={key}"] and lines[line - 1] == settings[0]


def _python() -> str:
    return shlex.quote(shown_path(Path(sys.executable)))


def model_lines(plan: Plan) -> Iterator[tuple[str, str]]:
    """Which models are in service and which are not: a label and a line each."""
    yield "models", f"{len(plan.models)} in service: {', '.join(plan.models) or 'none'}"
    for name, variable in plan.config.left_out:
        yield "models", f"{name} is left out: {lack(variable, plan.environment.values)}"
