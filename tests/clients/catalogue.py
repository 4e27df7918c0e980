"""The clients of others that are tried against the gateway, and how each is pointed at it.

Of a library, `set_up` is a line of its `client.py` or `client.mjs`; of a program, what its configuration file has, or
the settings of the command line. What stands here is what runs, and what docs/clients.md shows.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PYPI, NPM = "pypi", "npm"
MODEL = "scalix-engine"


@dataclass(frozen=True)
class Client:
    """`package` is the one whose version counts. `command` runs a program of its environment's `bin`, in a folder of
    its own with `files` in it; `{url}`, `{key}`, `{model}`, `{home}` and `{bin}` stand for theirs. `task` is the
    command that works on a task, and `call` the tool with which a model does it, or its words where the program acts on
    those."""

    name: str
    kind: str
    folder: str
    package: str
    checks: tuple[str, ...]
    set_up: str = ""
    command: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    task: str = ""
    call: tuple[str, Mapping[str, str]] | str = ""

    @property
    def path(self) -> Path:
        return FOLDER / self.kind / self.folder

    @property
    def script(self) -> Path:
        return self.path / ("client.py" if self.kind == PYPI else "client.mjs")

    @property
    def lock(self) -> Path:
        return self.path / ("requirements.lock" if self.kind == PYPI else "package-lock.json")

    @property
    def version(self) -> str:
        """The version of `package` in the lock."""
        text = self.lock.read_text(encoding="utf-8")
        if self.kind == NPM:
            return str(json.loads(text)["packages"][f"node_modules/{self.package}"]["version"])
        found = re.search(rf"^{re.escape(self.package)}(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE)
        assert found is not None, f"{self.lock} has no {self.package}"
        return found[1]


_ANSWERED = ("chat", "task")
MADE = "made.txt"
WRITTEN = "written by a tool\n"
_ASKED = f"'Write {MADE}'"
_SHELL = f"printf 'written by a tool\\n' > {MADE}"
CLIENTS = (
    Client(
        *("LangChain", PYPI, "langchain", "langchain-openai"),
        ("chat", "stream", "tools", "structured", "responses", "wrong key"),
        'ChatOpenAI(base_url=f"{url}/v1", api_key=key, model=model)',
    ),
    Client(
        *("LlamaIndex", PYPI, "llamaindex", "llama-index-llms-openai-like"),
        ("chat", "stream", "tools", "structured", "wrong key"),
        'api_base = f"{url}/v1"\nllm = OpenAILike(model=model, is_chat_model=True, is_function_calling_model=True, '
        "api_base=api_base, api_key=key)",
    ),
    Client(
        *("Pydantic AI", PYPI, "pydantic-ai", "pydantic-ai-slim"),
        ("chat", "stream", "tools", "structured", "responses", "messages", "wrong key"),
        'OpenAIProvider(base_url=f"{url}/v1", api_key=key)',
    ),
    Client(
        *("Instructor", PYPI, "instructor", "instructor"),
        ("tools", "structured", "wrong key"),
        'OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)',
    ),
    Client(
        *("OpenAI Agents SDK", PYPI, "openai-agents", "openai-agents"),
        ("responses", "chat", "stream", "tools", "structured", "wrong key"),
        'AsyncOpenAI(base_url=f"{url}/v1", api_key=key)',
    ),
    Client(
        *("smolagents", PYPI, "smolagents", "smolagents"),
        ("chat", "stream", "tools", "wrong key"),
        'OpenAIServerModel(model_id=model, api_base=f"{url}/v1", api_key=key)',
    ),
    Client(
        *("llm", PYPI, "llm", "llm"),
        ("chat",),
        command="{bin}/llm keys set scalix --value {key}; {bin}/llm -m scalix 'Say hello'",
        files={
            "llm/extra-openai-models.yaml": "- model_id: scalix\n  model_name: {model}\n"
            "  api_base: {url}/v1\n  api_key_name: scalix\n"
        },
        environment={"LLM_USER_PATH": "{home}/llm"},
    ),
    Client(
        *("aider", PYPI, "aider", "aider-chat"),
        _ANSWERED,
        command="{bin}/aider --model openai/{model} --no-check-update --no-analytics --yes-always --no-git"
        " --no-show-model-warnings --message 'Say hello'",
        environment={"OPENAI_API_BASE": "{url}/v1", "OPENAI_API_KEY": "{key}"},
        task="{bin}/aider --model openai/{model} --edit-format whole --no-check-update --no-analytics --yes-always"
        f" --no-git --no-show-model-warnings --message {_ASKED} {MADE}",
        call=f"{MADE}\n```\n{WRITTEN}```\n",
    ),
    Client(
        *("OpenAI SDK for Node", NPM, "openai-node", "openai"),
        ("chat", "stream", "tools", "structured", "responses", "stored", "responses stream", "wrong key"),
        "new OpenAI({ baseURL: `${url}/v1`, apiKey: key })",
    ),
    Client(
        *("Anthropic SDK for Node", NPM, "anthropic-node", "@anthropic-ai/sdk"),
        ("messages", "stream", "tools", "thinking", "wrong key"),
        "new Anthropic({ baseURL: url, apiKey: key })",
    ),
    Client(
        *("Vercel AI SDK", NPM, "vercel-ai", "ai"),
        ("chat", "responses", "messages", "stream", "tools", "structured", "wrong key"),
        'createOpenAICompatible({ name: "scalix", baseURL: `${url}/v1`, apiKey: key })',
    ),
    Client(
        *("Codex", NPM, "codex", "@openai/codex"),
        ("responses", "task"),
        command="{bin}/codex exec --skip-git-repo-check -m {model} 'Say hello'",
        files={
            ".codex/config.toml": 'model_provider = "scalix"\n\n[model_providers.scalix]\nname = "Scalix"\n'
            'base_url = "{url}/v1"\nenv_key = "SCALIX_KEY"\nwire_api = "responses"\n'
        },
        environment={"SCALIX_KEY": "{key}"},
        task=f"{{bin}}/codex exec --skip-git-repo-check -s workspace-write -m {{model}} {_ASKED}",
        call=("exec_command", {"cmd": _SHELL}),
    ),
    Client(
        *("opencode", NPM, "opencode", "opencode-ai"),
        _ANSWERED,
        command="{bin}/opencode run -m scalix/{model} 'Say hello'",
        files={
            ".config/opencode/opencode.json": '{{"provider": {{"scalix": {{"npm": "@ai-sdk/openai-compatible",'
            ' "name": "Scalix",\n  "options": {{"baseURL": "{url}/v1", "apiKey": "{{env:SCALIX_KEY}}"}},'
            ' "models": {{"{model}": {{}}}}}}}}}}\n'
        },
        environment={"SCALIX_KEY": "{key}"},
        task=f"{{bin}}/opencode run -m scalix/{{model}} {_ASKED}",
        call=("write", {"filePath": f"{{work}}/{MADE}", "content": WRITTEN}),
    ),
    Client(
        *("Qwen Code", NPM, "qwen-code", "@qwen-code/qwen-code"),
        _ANSWERED,
        command="{bin}/qwen --auth-type openai -p 'Say hello'",
        environment={"OPENAI_BASE_URL": "{url}/v1", "OPENAI_API_KEY": "{key}", "OPENAI_MODEL": "{model}"},
        task=f"{{bin}}/qwen --auth-type openai --approval-mode yolo -p {_ASKED}",
        call=("write_file", {"file_path": f"{{work}}/{MADE}", "content": WRITTEN}),
    ),
    Client(
        *("Continue", NPM, "continue", "@continuedev/cli"),
        _ANSWERED,
        command="{bin}/cn --config {home}/continue.yaml -p 'Say hello'",
        files={
            "continue.yaml": "name: scalix\nversion: 0.0.1\nschema: v1\nmodels:\n  - name: {model}\n"
            "    provider: openai\n    model: {model}\n    apiBase: {url}/v1\n    apiKey: {key}\n    roles: [chat]\n"
        },
        task=f"{{bin}}/cn --config {{home}}/continue.yaml --auto -p {_ASKED}",
        call=("Bash", {"command": _SHELL}),
    ),
    Client(
        *("Cline", NPM, "cline", "cline"),
        _ANSWERED,
        command="{bin}/cline auth -p openai -k {key} -b {url}/v1 -m {model} && {bin}/cline -t 60 --json 'Say hello'",
        task="{bin}/cline auth -p openai -k {key} -b {url}/v1 -m {model} && "
        f"{{bin}}/cline --auto-approve true -t 60 --json {_ASKED}",
        call=("editor", {"path": f"{{work}}/{MADE}", "new_text": WRITTEN}),
    ),
    Client(
        *("Claude Code", NPM, "claude-code", "@anthropic-ai/claude-code"),
        ("messages", "task"),
        command="{bin}/claude -p 'Say hello'",
        environment={
            "ANTHROPIC_BASE_URL": "{url}",
            "ANTHROPIC_AUTH_TOKEN": "{key}",
            "ANTHROPIC_MODEL": "{model}",
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": "{model}",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        },
        task=f"{{bin}}/claude --allowedTools Write -p {_ASKED}",
        call=("Write", {"file_path": f"{{work}}/{MADE}", "content": WRITTEN}),
    ),
)
