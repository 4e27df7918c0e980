"""Instructor over OpenAI's SDK, in the modes that it is used in."""

import sys

import instructor
from openai import OpenAI
from pydantic import BaseModel

url, key, model = sys.argv[1:4]


class City(BaseModel):
    name: str
    country: str


def ask(mode: instructor.Mode, key: str = key) -> City:
    client = instructor.from_openai(OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0), mode=mode)
    question = [{"role": "user", "content": "Name a city"}]
    return client.chat.completions.create(model=model, response_model=City, messages=question, max_retries=1)


print("tools", ask(instructor.Mode.TOOLS))
print("structured", ask(instructor.Mode.JSON_SCHEMA))
try:
    ask(instructor.Mode.TOOLS, "sk-wrong")
except Exception as error:
    print("wrong key", type(error).__name__)
