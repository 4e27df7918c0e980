"""Usage, costs, errors and limits of the gateway for any Python process, without LiteLLM and without HTTP.

`from scalix_callbacks import usage_tracker, cost_calculator, error_handler, rate_limiter`
"""
