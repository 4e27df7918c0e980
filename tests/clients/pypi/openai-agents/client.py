"""OpenAI's Agents SDK, by the responses API and by chat completions."""

import asyncio
import sys

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

url, key, model = sys.argv[1:4]
set_tracing_disabled(True)
client = AsyncOpenAI(base_url=f"{url}/v1", api_key=key)
responses = OpenAIResponsesModel(model, client)
chat = OpenAIChatCompletionsModel(model, client)
called = []


class City(BaseModel):
    name: str
    country: str


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    called.append(city)
    return f"rain in {city}"


async def main() -> None:
    print("responses", (await Runner.run(Agent(name="a", model=responses), "Say hello")).final_output)
    print("chat", (await Runner.run(Agent(name="a", model=chat), "Say hello")).final_output)
    streamed = Runner.run_streamed(Agent(name="a", model=responses), "Say hello")
    kinds = [event.type async for event in streamed.stream_events()]
    print("stream", len(kinds), streamed.final_output)
    await Runner.run(Agent(name="a", model=responses, tools=[weather]), "How is the weather in Bern?")
    print("tools", called[0])
    print(
        "structured", (await Runner.run(Agent(name="a", model=responses, output_type=City), "Name a city")).final_output
    )
    wrong = OpenAIResponsesModel(model, AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-wrong"))
    try:
        await Runner.run(Agent(name="a", model=wrong), "Say hello")
    except Exception as error:
        print("wrong key", type(error).__name__)


asyncio.run(main())
