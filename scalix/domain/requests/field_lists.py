"""Body fields beside those of OpenAI's and Anthropic's APIs: which are passed on, which are taken and dropped, and
which are refused, each with the reason. What stands nowhere is dropped and named; what steers LiteLLM is refused by
`control_fields.py`.

Whoever adds to `PASSED` makes sure that it can't change a request's size, its price, the queue that it waits in, its
template, its model or its route: what is reserved for a request is found out without it.
"""

from collections.abc import Callable, Mapping
from typing import Any

NUMBER, WHOLE, FLAG, TEXT, TEXTS, WHOLES, SCHEMA = "number", "whole", "flag", "text", "texts", "wholes", "schema"
Passed = tuple[str, str]
"""The kind of value, and what the field does."""

_SAMPLES = "sets which tokens may be drawn, and how likely; not how many"
_SHORTENS = "can only end an answer earlier"
_SHAPES = "bounds the form of the answer, within the same cap"
_SHOWS = "says how thoughts are shown; they count as output either way"

# On OpenAI's routes for answers, to deployments of its format: vLLM, SGLang, llama.cpp, OpenRouter, Groq and others
# read them.
PASSED: Mapping[str, Passed] = {
    "top_k": (NUMBER, _SAMPLES),
    "min_p": (NUMBER, _SAMPLES),
    "top_a": (NUMBER, _SAMPLES),
    "typical_p": (NUMBER, _SAMPLES),
    "repetition_penalty": (NUMBER, _SAMPLES),
    "stop_token_ids": (WHOLES, _SHORTENS),
    "include_stop_str_in_output": (FLAG, "shows the stop text at the end of the answer, which was generated anyway"),
    "skip_special_tokens": (FLAG, "shows tokens that were generated anyway"),
    "spaces_between_special_tokens": (FLAG, "sets spaces between tokens that were generated anyway"),
    "guided_json": (SCHEMA, _SHAPES + "; weighed like every schema"),
    "guided_choice": (TEXTS, _SHAPES),
    "guided_regex": (TEXT, _SHAPES),
    "cache_salt": (TEXT, "keeps a prefix cache apart from that of others"),
    "enable_thinking": (FLAG, "turns thinking on or off; thoughts are within the same cap"),
    "thinking_budget": (WHOLE, "bounds thoughts; counted as a budget within the cap"),
    "include_reasoning": (FLAG, _SHOWS),
    "reasoning_format": (TEXT, _SHOWS),
    "reasoning_split": (FLAG, _SHOWS),
}
# Of objects, only these fields.
PASSED_WITHIN: Mapping[str, Mapping[str, Passed]] = {
    "stream_options": {
        "include_usage": (FLAG, "OpenAI's"),
        "include_obfuscation": (FLAG, "OpenAI's"),
        "continuous_usage_stats": (FLAG, "states the usage in every event, which costs nothing"),
    },
    "chat_template_kwargs": {
        "enable_thinking": (FLAG, "turns thinking on or off; thoughts are within the same cap"),
        "thinking": (FLAG, "as enable_thinking, by DeepSeek's and Granite's templates"),
    },
    "structured_outputs": {
        "json": (SCHEMA, _SHAPES + "; weighed like every schema"),
        "choice": (TEXTS, _SHAPES),
        "regex": (TEXT, _SHAPES),
    },
    "provider": {
        "order": (TEXTS, "which of OpenRouter's hosts of the same model are asked first"),
        "only": (TEXTS, "which of its hosts may be asked"),
        "ignore": (TEXTS, "which of its hosts are not asked"),
        "sort": (TEXT, "in which order its hosts are asked"),
        "allow_fallbacks": (FLAG, "false: only the first of its hosts is asked"),
        "require_parameters": (FLAG, "true: only hosts that know all fields are asked"),
        "data_collection": (TEXT, "'deny': only hosts that keep nothing are asked"),
        "zdr": (FLAG, "true: only hosts that keep nothing are asked"),
    },
    "usage": {"include": (FLAG, "has OpenRouter state what an answer cost it")},
    "reasoning": {
        "effort": (TEXT, "how much is thought; thoughts are within the same cap"),
        "max_tokens": (WHOLE, "bounds thoughts; counted as a budget within the cap"),
        "enabled": (FLAG, "turns thinking on or off; thoughts are within the same cap"),
        "exclude": (FLAG, _SHOWS),
        "summary": (TEXT, _SHOWS),
    },
}

# What real clients send by themselves, and nothing here heeds: by the client that sends it.
TAKEN: Mapping[str, str] = {
    "client_metadata": "Codex, in every request",
    "metadata": "Claude Code and others; LiteLLM would read settings of its own from it",
    "transforms": "Roo Code and other clients of OpenRouter",
    "vl_high_resolution_images": "Qwen Code",
    "session_id": "clients of OpenRouter",
    "stream_options": "clients of several APIs, on routes that have none",
    "diagnostics": "Anthropic's SDK, of the beta of that name",
}

_CAP = "it would set another bound for the answer than the one that is counted. Send '{cap}'"
_LONGER = "it would have the model generate more than it has to say. Leave it out"
_QUEUE = "it would go before others in the provider's queue. Leave it out"
_TEMPLATE = "it would change the text that the model is sent, and so its size. Leave it out"
_SIZE = "it would bring in text or work that is not counted. Leave it out"
_MODEL = "it would choose another model than the one that is asked for. Name the model in 'model'"
_PRICE = "it would be served, and cost, otherwise than what is asked for here. Leave it out"

# What the gateway counts by, under another name or behind its back. These are refused, not dropped: who sends them
# expects an answer of another kind.
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"), _CAP),
    **dict.fromkeys(("max_tokens_to_sample", "maxOutputTokens", "max_length", "n_predict", "num_predict"), _CAP),
    **dict.fromkeys(("min_tokens", "min_new_tokens", "min_length", "ignore_eos", "length_penalty"), _LONGER),
    **dict.fromkeys(("best_of", "use_beam_search", "beam_width", "num_beams", "num_return_sequences"), _LONGER),
    **dict.fromkeys(("priority", "request_priority", "queue"), _QUEUE),
    **dict.fromkeys(("chat_template", "add_generation_prompt", "continue_final_message", "documents"), _TEMPLATE),
    **dict.fromkeys(("add_special_tokens", "bos_token", "eos_token", "custom_prompt", "system_prompt"), _TEMPLATE),
    **dict.fromkeys(("logits_processors", "custom_logit_processor", "custom_params", "vllm_xargs"), _SIZE),
    **dict.fromkeys(("plugins", "mm_processor_kwargs", "prompt_logprobs", "prompt_embeds", "lora_path"), _SIZE),
    **dict.fromkeys(("kv_transfer_params", "bootstrap_host", "bootstrap_port", "bootstrap_room"), _SIZE),
    **dict.fromkeys(("container_upload", "data_sources", "search_parameters", "compaction", "thread"), _SIZE),
    **dict.fromkeys(("route", "models", "preset", "fallbacks"), _MODEL),
    **dict.fromkeys(("speed", "inference_geo", "billing_policy", "fallback_credit_token", "workspace_id"), _PRICE),
    **dict.fromkeys(("user_profile_id", "max_price"), _PRICE),
    "betas": "it belongs into the header 'anthropic-beta'. Send it there",
}
# Of these, what says no more than what holds without it.
NEUTRAL_OF_REFUSED: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(("min_tokens", "min_new_tokens", "min_length", "priority", "request_priority"), (0,)),
    **dict.fromkeys(("best_of", "num_beams", "num_return_sequences", "length_penalty"), (1,)),
    **dict.fromkeys(("ignore_eos", "use_beam_search", "continue_final_message"), (False,)),
    "add_generation_prompt": (True,),
    "speed": ("standard",),
}
_EMPTY: tuple[Any, ...] = ("", [], {})


def says_nothing(name: str, value: Any) -> bool:
    """Whether a field that is refused may be dropped like one that nobody knows, as nothing is asked for by it."""
    return value in _EMPTY or value in NEUTRAL_OF_REFUSED.get(name, ())


# Where there is no answer to generate, these bound nothing, and are dropped.
OF_ANSWERS = frozenset(name for name, reason in REFUSED.items() if reason in (_CAP, _LONGER))

# Some programs write them as 1.0.
WHOLE_NUMBERS = frozenset(
    {
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "seed", "top_k", "logprobs"),
        *("top_logprobs", "dimensions", "max_tool_calls", "thinking_budget"),
    }
)

_LONGEST_TEXT = 4_096
_MOST_TEXTS = 1_000


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and len(value) <= _MOST_TEXTS and all(map(of, value))


KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    NUMBER: (_is_number, "a number"),
    WHOLE: (_is_whole, "a whole number"),
    FLAG: (lambda value: isinstance(value, bool), "true or false"),
    TEXT: (_is_text, f"a text of at most {_LONGEST_TEXT} characters"),
    TEXTS: (lambda value: _is_list(value, _is_text), f"a list of at most {_MOST_TEXTS} texts"),
    WHOLES: (lambda value: _is_list(value, _is_whole), f"a list of at most {_MOST_TEXTS} whole numbers"),
    SCHEMA: (lambda value: isinstance(value, dict), "an object, a JSON schema"),
}
