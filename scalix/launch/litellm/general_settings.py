"""What becomes of each setting of LiteLLM's `general_settings`."""

from scalix.launch.litellm.kinds import Table, table

GENERAL_SETTINGS: Table = table("""
translated: the gateway's own master key, under whichever variable's name
    master_key
translated: each user's id is read from this header too, for requests with the master key
    user_header_name
translated: scalix.overload.in_flight, for each worker
    global_max_parallel_requests
translated: scalix.overload.in_flight
    max_in_flight_requests_per_worker
refused: would let callers past the gateway's own authentication | remove the line; keys, JSON Web Tokens (scalix.jwt) \
and anonymous callers (scalix.anonymous) are built in
    custom_auth
honoured
    alerting alerting_threshold alerting_args alert_types alert_type_config alert_to_webhook_url otel tracing
    user_url_validation user_url_allowed_hosts provider_url_destination_allowed_hosts disable_responses_id_security
without effect: all state is in the gateway's store, and no database is used
    database_url database_args database_type database_connection_pool_limit database_connection_pool_timeout
    database_connection_timeout database_connect_timeout database_socket_timeout database_max_idle_connection_lifetime
    database_extra_connection_params database_disable_prepared_statements store_model_in_db supported_db_objects
    proxy_config_reload_interval_seconds allow_requests_on_db_unavailable disable_prisma_schema_update
    use_redis_transaction_buffer proxy_batch_write_at proxy_batch_polling_interval proxy_budget_rescheduler_min_time
    proxy_budget_rescheduler_max_time disable_reset_budget scheduled_job_stagger use_spend_logs_partitioning
without effect: the gateway has a store of its own: set REDIS_URL
    coordination_redis
without effect: the gateway keeps its own ledger; scalix.retention says for how long
    disable_spend_logs disable_spend_updates disable_error_logs store_prompts_in_spend_logs spend_logs_metadata_fields
    spend_report_frequency spend_capture_rate_check maximum_spend_logs_retention_period
    maximum_spend_logs_retention_interval maximum_spend_logs_cleanup_cron maximum_spend_logs_cleanup_batch_size
    maximum_spend_logs_cleanup_batch_timeout maximum_spend_logs_cleanup_max_batches
    maximum_spend_logs_cleanup_run_budget maximum_daily_tag_spend_retention_period maximum_health_check_retention_period
    maximum_autorouter_session_retention_period missing_session_id disable_end_user_cost_tracking
without effect: only the routes of docs/routes.md are served
    pass_through_endpoints pass_through_request_timeout passthrough_managed_object_ids allowed_routes admin_only_routes
    public_routes enable_openai_websocket_passthrough responses_websocket_session_limit_seconds
    disable_bedrock_agent_runtime_passthrough enable_public_model_hub enable_drain_endpoint drain_endpoint_token
    allow_public_health_readiness_details enable_claude_code_gateway claude_code_gateway_managed_settings plugins
    search_tools search_tool_deny_by_default vector_store_deny_by_default transcribe_media_buckets
    service_account_settings default_team_disabled allow_unmanaged_response_ids
without effect: files and batches are not served
    max_batch_file_records max_batch_file_size_mb max_batch_file_uploads_per_day max_file_downloads_per_minute
    max_file_size_mb allowed_file_extensions blocked_file_extensions track_unmanaged_batch_cost
    disable_batch_input_file_rate_limiting skip_batch_input_file_rate_limiting_for_models
    skip_batch_input_file_rate_limiting_for_providers
without effect: MCP is not served
    enable_mcp_registry mcp_advertised_versions mcp_allow_all_keys_respects_mcp_scope mcp_allowed_clients
    mcp_client_id_header mcp_client_side_auth_header_name mcp_internal_ip_ranges mcp_prefer_client_id_metadata_document
    mcp_required_fields mcp_session_token_signing mcp_trusted_proxy_ranges mcp_xff_num_trusted_hops
    user_mcp_management_mode require_end_user_mcp_access_defined require_key_mcp_access_defined
without effect: LiteLLM's pages and its login are not served
    ui_access_mode custom_sso custom_ui_sso_sign_in_handler control_plane_url auto_redirect_ui_login_to_sso
    allow_cli_sso_verification_uri_complete disable_env_credential_login disable_password_login_when_sso_enabled
    failed_login_block_seconds failed_login_window_seconds max_failed_login_attempts_per_source
    max_failed_login_attempts_per_source_overrides password_policy_min_length password_policy_require_lowercase
    password_policy_require_numbers password_policy_require_special_characters password_policy_require_uppercase
    password_policy_check_breached_passwords hide_default_credentials_hint disable_master_key_return litellm_license
without effect: the gateway identifies callers itself; the nearest is scalix.jwt
    enable_jwt_auth litellm_jwtauth enable_oauth2_auth enable_oauth2_proxy_auth oauth2_config_mappings role_permissions
    enforce_rbac custom_auth_run_common_checks allow_user_auth
without effect: keys are read from Authorization, x-api-key and api-key
    litellm_key_header_name user_header_mappings forward_llm_provider_auth_headers
without effect: keys and users are the gateway's own (docs/security.md)
    custom_key_generate custom_key_update custom_key_policy disable_custom_api_keys disable_key_generate_for_org_admin
    custom_team_metadata_validate team_metadata_schema team_metadata_validation_error_message
    team_metadata_validation_timeout disable_auto_add_proxy_admin_to_teams apply_user_budget_to_team_keys
    use_team_public_model_name user_api_key_cache_ttl user_api_key_cache_max_size enforce_user_param enforced_params
    enforce_fallback_model_access disable_budget_reservation fail_closed_budget_enforcement
    reject_clientside_metadata_tags
without effect: the nearest is scalix.ip_rules.allow
    allowed_ips
without effect: the nearest is scalix.trusted_proxies
    use_x_forwarded_for trusted_proxy_ranges
without effect: the nearest is concurrent: of a tier in scalix.tiers
    max_parallel_requests disable_retry_on_max_parallel_request_limit_error
without effect: limits hold in the gateway; the nearest is on_store_failure: of a tier
    fail_closed_rate_limit_enforcement token_rate_limit_type
without effect: the nearest is scalix.overload
    max_queued_requests_per_worker admission_queue_timeout_seconds max_request_size_mb max_response_size_mb
translated: the gateway's own health checks, made by one worker of all (docs/deployments.md)
    background_health_checks health_check_interval background_health_check_model_groups
without effect: what fails the gateway's own background_health_checks rests, and comes back when it answers
    enable_health_check_routing health_check_staleness_threshold health_check_ignore_transient_errors
    use_shared_health_check health_check_concurrency health_check_skip_disabled_background_models
    model_list_healthy_only
without effect: GET /health tells no more of a model than whether it answers, and why not
    health_check_details
without effect: LiteLLM would ask providers for their models at its own account
    disable_model_info_refresh
without effect: variables come from the environment and from files (NAME_FILE)
    key_management_system key_management_settings use_google_kms use_azure_key_vault
without effect: it would serve another model than the one asked for and charged
    completion_model infer_model_from_keys
without effect: headers pass by a list (docs/security.md)
    forward_client_headers_to_llm_api forward_openai_org_id
without effect: clients can't steer routing, addresses or keys of providers
    allow_client_side_credentials
without effect: the gateway does as much by itself
    always_include_stream_usage cancel_on_disconnect include_call_id_in_error_body expose_fallback_errors_to_caller
    dangerously_permit_weak_or_unset_master_key
""")
