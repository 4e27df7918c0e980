"""The gateway's books for any Python process: usage, costs, errors and limits, without LiteLLM and without HTTP.

`from scalix_callbacks import usage_tracker, cost_calculator, error_handler, rate_limiter`
"""
