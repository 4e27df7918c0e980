"""What becomes of each setting of LiteLLM's `router_settings`."""

from scalix.launch.litellm.kinds import Table, table

ROUTER_SETTINGS: Table = table("""
translated: scalix.fallbacks, under which tier, budget and price of each model hold
    fallbacks default_fallbacks context_window_fallbacks content_policy_fallbacks
translated: other names of models, judged by the tier and price of their target
    model_group_alias
translated: scalix.retries.same_model
    num_retries
translated: scalix.retries.models
    max_fallbacks
translated: scalix.cooldown.failures
    allowed_fails
translated: scalix.cooldown.seconds
    cooldown_time
translated: scalix.cooldown.seconds: 0
    disable_cooldowns
honoured
    timeout stream_timeout routing_strategy routing_strategy_args routing_groups enable_tag_filtering
    tag_filtering_match_any tag_routing_prefix optional_pre_call_checks deployment_affinity_ttl_seconds
    model_group_affinity_config enable_weighted_failover default_max_parallel_requests client_ttl
without effect: retries are counted by the gateway; the nearest is scalix.retries.same_model
    retry_after retry_policy model_group_retry_policy
without effect: the nearest is scalix.cooldown
    allowed_fails_policy
without effect: the gateway has a store of its own: set REDIS_URL
    redis_url redis_host redis_port redis_password redis_db
without effect: answers are not cached: a cache would have to be kept apart for each user
    cache_responses cache_kwargs caching_groups
without effect: prompts that are too long go to a model's fallbacks; a deployment's rpm and tpm hold without it
    enable_pre_call_checks
without effect: no budget of a provider is kept; the nearest is spend_usd: of each tier in scalix.tiers
    provider_budget_config
without effect: who waits first is said by priority: of a tier
    default_priority polling_interval
without effect: write them under litellm_params of each model
    default_litellm_params
without effect: set LITELLM_LOG_LEVEL=DEBUG for more in the log
    set_verbose debug_level
without effect: write it under general_settings
    alerting_config
without effect: assistants and search tools are not served
    assistants_config search_tools
translated: the gateway's own health checks, made by one worker of all (docs/deployments.md)
    background_health_check_model_groups
without effect: what fails the gateway's own background_health_checks rests, and comes back when it answers
    enable_health_check_routing health_check_staleness_threshold health_check_ignore_transient_errors
without effect: it belongs to programs, not to a config file
    plugins
without effect: LiteLLM takes it from elsewhere
    model_list guardrail_list router_general_settings ignore_invalid_deployments fallback_access_check
    fallback_budget_check auto_router_capability_limit
""")
