"""smolagents' model for servers that speak OpenAI's API."""

import sys

from smolagents import OpenAIServerModel, Tool

url, key, model = sys.argv[1:4]
server = OpenAIServerModel(model_id=model, api_base=f"{url}/v1", api_key=key)
question = [{"role": "user", "content": [{"type": "text", "text": "How is the weather in Bern?"}]}]


class Weather(Tool):
    name = "weather"
    description = "The weather in a city."
    inputs = {"city": {"type": "string", "description": "the city"}}
    output_type = "string"

    def forward(self, city: str) -> str:
        return f"rain in {city}"


print("chat", server.generate(question).content)
print("stream", "".join(delta.content or "" for delta in server.generate_stream(question)))
print("tools", server.generate(question, tools_to_call_from=[Weather()]).tool_calls[0].function.name)
try:
    OpenAIServerModel(
        model_id=model, api_base=f"{url}/v1", api_key="sk-wrong", client_kwargs={"max_retries": 0}
    ).generate(question)
except Exception as error:
    print("wrong key", type(error).__name__)
