"""The order of a model's deployments, as LiteLLM's router takes it from our config."""

from pathlib import Path
from typing import Any

from litellm import Router

from tests.e2e.scripted_provider import Answer, scripted, whole
from tests.launch.config_text import read

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


async def test_the_deployment_of_the_least_priority_is_asked_and_the_next_one_when_it_fails(tmp_path: Path) -> None:
    broken = set[str]()

    def answer(path: str, body: dict[str, Any]) -> Answer:
        return whole({"error": {"message": "broken"}}, 500) if body["model"] in broken else whole(CHAT)

    with scripted(answer) as provider:
        entries = [
            f"  - {{model_name: m, litellm_params: {{model: openai/{name}, api_base: '{provider.url}/v1', api_key: x,"
            f" metadata: {{priority: {priority}}}}}}}"
            for name, priority in (("third", 3), ("first", 1), ("second", 2))
        ]
        config = read(tmp_path, "model_list:\n" + "\n".join(entries))
        router = Router(model_list=config.litellm["model_list"], num_retries=0, disable_cooldowns=True)
        messages = [{"role": "user", "content": "Hi"}]
        for _ in range(8):
            await router.acompletion("m", messages)
        assert [body["model"] for _, body in provider.asked] == ["first"] * 8
        broken.add("first")
        del provider.asked[:]
        await router.acompletion("m", messages)
        assert [body["model"] for _, body in provider.asked][-1] == "second"
        assert "third" not in {body["model"] for _, body in provider.asked}
        assert all("order" not in body and "priority" not in body for _, body in provider.asked)
