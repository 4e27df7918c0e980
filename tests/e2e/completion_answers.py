"""Answers of OpenAI's completions, the API before chat, as servers are known to send them, each whole and as the chunks
of a stream. Sources: OpenAI's API reference, the references of Together and Fireworks, vLLM's own server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.e2e.complete_provider import EVENT_STREAM, Body
from tests.e2e.provider_answers import CASES, ERROR, FLAT_USAGE, raw
from tests.e2e.scripted_provider import Answer, whole

HEAD = {"id": "cmpl-1", "created": 1_700_000_000, "model": "provider-model-2026", "object": "text_completion"}
LOGPROBS = {"tokens": ["Hi"], "token_logprobs": [-0.1], "top_logprobs": [{"Hi": -0.1}], "text_offset": [0]}


@dataclass(frozen=True)
class Text:
    """`parts` are the text, one a chunk, with `choice` in each of them. `usage` comes in the last chunk, alone or
    `with_finish`, and `extra` is in the answer and in each chunk. `raw` are the bytes instead, of both. `of` are the
    providers that are asked by completions."""

    parts: tuple[str, ...] = ("Hel", "lo")
    finish: Any = "stop"
    usage: Any = None
    extra: Mapping[str, Any] | None = None
    choice: Mapping[str, Any] | None = None
    head: Mapping[str, Any] | None = None
    raw: tuple[bytes, bytes] | None = None
    status: int = 200
    with_finish: bool = False
    choices: int = 1
    asked: Mapping[str, Any] | None = None
    of: tuple[str, ...] = ("openai",)

    def answer(self, body: Body) -> Answer:
        """What the provider sends."""
        streamed = bool(body.get("stream"))
        if self.raw is not None:
            kind = EVENT_STREAM if streamed and self.status == 200 else (("content-type", "application/json"),)
            return Answer(self.status, (self.raw[streamed],), kind)
        head = {**(HEAD if self.head is None else self.head), **(self.extra or {})}
        usage = {"usage": self.usage or FLAT_USAGE}
        if not streamed:
            texts = [self._choice(n, "".join(self.parts), self.finish) for n in range(self.choices)]
            return whole({**head, "choices": texts, **usage})
        said = [self._choice(n, part, None) for part in self.parts for n in range(self.choices)]
        said += [self._choice(n, "", self.finish) for n in range(self.choices)]
        chunks = [{**head, "choices": [one]} for one in said]
        if self.with_finish:
            chunks[-1] |= usage
        else:
            chunks.append({**head, "choices": [], **usage})
        text = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)
        return Answer(200, (text + b"data: [DONE]\n\n",), EVENT_STREAM)

    def _choice(self, index: int, text: str, finish: Any) -> Body:
        return {"index": index, "text": text, "logprobs": None, "finish_reason": finish, **(self.choice or {})}


BY_COMPLETIONS = ("openai", "hosted_vllm", "together_ai", "fireworks_ai")
BY_CHAT = ("openrouter", "deepseek", "groq", "mistral", "xai")
TEXTS: dict[str, Text] = {
    "a text": Text(of=BY_COMPLETIONS),
    "OpenAI": Text(extra={"system_fingerprint": "fp_1"}, choice={"logprobs": LOGPROBS}, asked={"logprobs": 1}),
    "an echo": Text(("Say", " it"), asked={"echo": True}, of=("openai", "hosted_vllm")),
    "two choices": Text(choices=2, asked={"n": 2}),
    "an end of its own": Text(asked={"suffix": "the end", "stop": ["x"]}),
    "a cut": Text(finish="length"),
    "vLLM": Text(
        usage={**FLAT_USAGE, "prompt_tokens_details": None},
        extra={"service_tier": None, "system_fingerprint": None, "kv_transfer_params": {"remote_host": "10.0.0.7"}},
        choice={"stop_reason": None, "token_ids": None, "prompt_logprobs": None, "prompt_token_ids": None},
        of=("hosted_vllm", "openai"),
    ),
    "Together": Text(finish="eos", extra={"prompt": []}, choice={"seed": 7}, with_finish=True, of=("together_ai",)),
    "Fireworks": Text(
        usage={**FLAT_USAGE, "prompt_tokens_details": {"cached_tokens": 4}}, with_finish=True, of=("fireworks_ai",)
    ),
    "no head": Text(head={}),
    "no number": Text(choice={"index": None}),
    "no finish": Text(finish=None),
    "an unknown finish": Text(finish="abort"),
    "an empty text": Text(("",)),
    "no choices": Text(raw=raw({**HEAD, "choices": [], "usage": FLAT_USAGE})),
    "no total": Text(usage={"prompt_tokens": 7, "completion_tokens": 5}),
    "usage as text": Text(usage={name: str(value) for name, value in FLAT_USAGE.items()}),
    "a cost": Text(usage={**FLAT_USAGE, "cost": 0.75, "estimated_cost": 0.75}),
    "an error in a 200": Text(raw=raw(ERROR)),
    "an error in the middle": Text(
        raw=(
            raw(ERROR)[0],
            b"data: " + orjson.dumps({**HEAD, "choices": [{"index": 0, "text": "Hel"}]}) + b"\n\n" + raw(ERROR)[1],
        )
    ),
    "nothing": Text(raw=(b"", b"")),
    "status 400": Text(raw=raw({"error": {"message": "no", "type": "invalid_request_error"}}), status=400),
    "status 500": Text(raw=raw({"error": {"message": "no", "type": "server_error"}}), status=500),
}
CHATS = [name for name, case in CASES.items() if not {*BY_CHAT}.isdisjoint(case.of)]
"""Chats that stand for texts, of providers that LiteLLM asks so."""


def answered(path: str, body: Body) -> Answer:
    """What the scripted provider answers, by the name of the case."""
    if path.endswith("/chat/completions"):
        return CASES[body["messages"][-1]["content"]].answer(path, body)
    return TEXTS[body["prompt"]].answer(body)
