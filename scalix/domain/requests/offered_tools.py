"""Tools of the provider's that programs offer beside their own in every request, whether the task needs them or not."""

from collections.abc import Mapping
from typing import Any

OFFERED: Mapping[str, str] = {
    "web_search": "Codex, in every request",
    "image_generation": "Codex, for models that see images",
}
_LEFT_TO_THE_MODEL = (None, "auto", "any", "required")


def take_out_offered(body: dict[str, Any]) -> list[str]:
    """Take these out of the body's tools, and say what they were: `tools[8].web_search`.

    Nothing is taken where they are what the request is for: no other tool stands beside them, or one of them is chosen.
    """
    tools, choice = body.get("tools"), body.get("tool_choice")
    chosen = choice.get("type") if isinstance(choice, dict) else choice
    if not isinstance(tools, list) or chosen not in _LEFT_TO_THE_MODEL:
        return []
    offered = {index: kind for index, tool in enumerate(tools) if (kind := _kind(tool)) in OFFERED}
    if not offered or len(offered) == len(tools):
        return []
    body["tools"] = [tool for index, tool in enumerate(tools) if index not in offered]
    return [f"tools[{index}].{kind}" for index, kind in offered.items()]


def _kind(tool: Any) -> str:
    kind = tool.get("type") if isinstance(tool, dict) else None
    return kind if isinstance(kind, str) else ""
