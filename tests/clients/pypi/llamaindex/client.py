"""LlamaIndex with its class for servers that speak OpenAI's API."""

import sys

from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

url, key, model = sys.argv[1:4]
api_base = f"{url}/v1"
llm = OpenAILike(model=model, is_chat_model=True, is_function_calling_model=True, api_base=api_base, api_key=key)


class City(BaseModel):
    name: str
    country: str


def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


print("chat", llm.complete("Say hello").text)
print("stream", "".join(chunk.delta or "" for chunk in llm.stream_complete("Say hello")))
called = llm.chat_with_tools([FunctionTool.from_defaults(weather)], "How is the weather in Bern?", tool_required=True)
print("tools", llm.get_tool_calls_from_response(called)[0].tool_name)
print("structured", llm.as_structured_llm(City).complete("Name a city").raw.model_dump())
try:
    OpenAILike(model=model, api_base=f"{url}/v1", api_key="sk-wrong", is_chat_model=True, max_retries=0).complete("Hi")
except Exception as error:
    print("wrong key", type(error).__name__)
