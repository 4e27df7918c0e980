"""Pydantic AI's agents, by OpenAI's chat and responses APIs and by Anthropic's."""

import asyncio
import sys

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

url, key, model = sys.argv[1:4]
provider = OpenAIProvider(base_url=f"{url}/v1", api_key=key)
chat = OpenAIChatModel(model, provider=provider)


class City(BaseModel):
    name: str
    country: str


called = []
with_tool = Agent(chat)


@with_tool.tool_plain
def weather(city: str) -> str:
    """The weather in a city."""
    called.append(city)
    return f"rain in {city}"


async def main() -> None:
    print("chat", (await Agent(chat).run("Say hello")).output)
    async with Agent(chat).run_stream("Say hello") as stream:
        print("stream", await stream.get_output())
    await with_tool.run("How is the weather in Bern?")
    print("tools", called[0])
    print("structured", (await Agent(chat, output_type=City).run("Name a city")).output)
    print("responses", (await Agent(OpenAIResponsesModel(model, provider=provider)).run("Say hello")).output)
    anthropic = AnthropicModel(model, provider=AnthropicProvider(base_url=url, api_key=key))
    print("messages", (await Agent(anthropic).run("Say hello")).output)
    try:
        await Agent(OpenAIChatModel(model, provider=OpenAIProvider(base_url=f"{url}/v1", api_key="sk-wrong"))).run("Hi")
    except Exception as error:
        print("wrong key", type(error).__name__)


asyncio.run(main())
