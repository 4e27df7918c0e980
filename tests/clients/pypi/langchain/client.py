"""LangChain's ChatOpenAI, as its documentation shows it for servers that speak OpenAI's API."""

import sys

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

url, key, model = sys.argv[1:4]
chat = ChatOpenAI(base_url=f"{url}/v1", api_key=key, model=model)


class City(BaseModel):
    name: str
    country: str


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


print("chat", chat.invoke("Say hello").text)
print("stream", "".join(chunk.text for chunk in chat.stream("Say hello")))
print(
    "tools",
    chat.bind_tools([weather], tool_choice="weather").invoke("How is the weather in Bern?").tool_calls[0]["name"],
)
print("structured", chat.with_structured_output(City).invoke("Name a city").model_dump())
responses = ChatOpenAI(base_url=f"{url}/v1", api_key=key, model=model, use_responses_api=True)
print("responses", responses.invoke("Say hello").text)
try:
    ChatOpenAI(base_url=f"{url}/v1", api_key="sk-wrong", model=model, max_retries=0).invoke("Say hello")
except Exception as error:
    print("wrong key", type(error).__name__)
