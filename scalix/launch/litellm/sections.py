"""The sections of a config file, and for each the table of its settings."""

from scalix.launch.litellm.general_settings import GENERAL_SETTINGS
from scalix.launch.litellm.kinds import Kind, Setting, Table, table
from scalix.launch.litellm.litellm_params import ENTRY, LITELLM_PARAMS
from scalix.launch.litellm.litellm_settings import LITELLM_SETTINGS
from scalix.launch.litellm.router_settings import ROUTER_SETTINGS

OURS = "scalix"
# What these hold is judged key by key.
JUDGED = ("litellm_settings", "router_settings", "general_settings")

SECTIONS: Table = table("""
honoured
    model_list litellm_settings router_settings general_settings guardrails credential_list prompts
    callback_settings policies policy_attachments
translated: the files, which are read and checked like this one
    include
translated: variables of the gateway's workers, over those of the environment
    environment_variables
without effect: files, batches and fine tuning are not served
    files_settings finetune_settings
without effect: only the routes of docs/routes.md are served
    assistant_settings agent_list agents mcp_servers mcp_tools search_tools sandbox_tools vector_store_registry
    worker_registry default_vertex_config
""")
TABLES: dict[str, Table] = {
    "model_list": ENTRY,
    "model_list.litellm_params": LITELLM_PARAMS,
    "litellm_settings": LITELLM_SETTINGS,
    "router_settings": ROUTER_SETTINGS,
    "general_settings": GENERAL_SETTINGS,
}
NO_SETTING = Setting(Kind.WITHOUT_EFFECT, "LiteLLM has no such setting")
_OF_PRICES = ("_cost", "cost_per_", "_uplift_", "tiered_pricing", "off_peak_pricing", "_per_ptu")


def is_price(name: str) -> bool:
    """Whether a name in LiteLLM's price map is a price, or a part of one."""
    return any(part in name for part in _OF_PRICES)
