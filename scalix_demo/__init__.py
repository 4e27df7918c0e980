"""The demo provider: an HTTP server with OpenAI's and Anthropic's API that answers without any model.

It replaces the configured providers under `--demo` and in tests, and nowhere else: it checks no keys, and prompts can
control it (see `script`). Its token counts are exact by definition (see `prompts`). Its request log records what it was
asked and what it delivered, to compare with the gateway's own ledger.
"""
