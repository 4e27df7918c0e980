"""The demo provider: an HTTP server with OpenAI's and Anthropic's API that answers without any model.

It stands in for the configured providers under `--demo` and in tests, and nowhere else: no key is checked, and prompts
may steer it (see `script`). Its token counts are exact by definition (see `prompts`), and its request log says what it
was asked and what it delivered, so that it can be held against the gateway's own books.
"""
