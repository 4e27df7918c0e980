"""What answers of each format say of themselves, and that nothing else is taken for it."""

from typing import Any

import pytest

from scalix.domain.answers.said_of_itself import Said, note_said


@pytest.mark.parametrize(
    ("answer", "model", "reasons"),
    [
        (
            {"model": "gpt", "choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]},
            "gpt",
            ["stop", "length"],
        ),
        ({"model": "gpt", "choices": [{"delta": {}, "finish_reason": None}]}, "gpt", []),
        ({"type": "message", "model": "claude-4", "stop_reason": "end_turn"}, "claude-4", ["end_turn"]),
        ({"type": "message_start", "message": {"model": "claude-4", "stop_reason": None}}, "claude-4", []),
        ({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, "", ["tool_use"]),
        ({"modelVersion": "gemini-3", "candidates": [{"finishReason": "MAX_TOKENS"}]}, "gemini-3", ["MAX_TOKENS"]),
        ({"object": "response", "model": "gpt", "status": "completed"}, "gpt", ["completed"]),
        (
            {
                "response": {
                    "object": "response",
                    "status": "incomplete",
                    "incomplete_details": {"reason": "max_output_tokens"},
                }
            },
            "",
            ["max_output_tokens"],
        ),
        ({"response": {"object": "response", "model": "gpt", "status": "in_progress"}}, "gpt", []),
        ({"object": "list", "model": "embed", "data": []}, "embed", []),
    ],
)
def test_model_and_reasons_are_found_in_every_format(answer: dict[str, Any], model: str, reasons: list[str]) -> None:
    note_said(said := Said(), answer)
    assert (said.model, said.reasons) == (model, reasons)


@pytest.mark.parametrize(
    "answer",
    [
        {"model": "write me a poem", "choices": [{"finish_reason": "because you said so"}]},
        {"model": "x" * 129, "choices": [{"finish_reason": "x" * 41}]},
        {"model": ["gpt"], "choices": [{"finish_reason": {"a": 1}}, "no choice"], "candidates": 3},
        {"message": "text", "response": [], "delta": "text", "stop_reason": 7},
    ],
)
def test_what_may_be_content_is_not_taken(answer: dict[str, Any]) -> None:
    note_said(said := Said(), answer)
    assert said == Said()


def test_of_any_number_of_choices_some_are_told() -> None:
    note_said(said := Said(), {"choices": [{"finish_reason": "stop"}] * 1000})
    assert len(said.reasons) == 16
