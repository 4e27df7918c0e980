"""Makes answers and events match the APIs of OpenAI and Anthropic, whatever engine or provider they come from."""
