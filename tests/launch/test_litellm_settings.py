"""What becomes of each setting of LiteLLM's: none that its code knows is missing from the tables."""

import pytest

from scalix.launch.litellm.sections import SECTIONS, TABLES, is_price
from tests.launch import litellm_settings as of_litellm


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("litellm_settings", of_litellm.names_in_module),
        ("router_settings", of_litellm.names_in_router),
        ("general_settings", of_litellm.names_in_general),
        ("model_list.litellm_params", of_litellm.names_in_params),
        ("", of_litellm.names_in_sections),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_setting_of_litellms_is_missing_from_the_tables(section: str, names: object) -> None:
    assert callable(names)
    found = names()
    assert len(found) > 15
    assert sorted(name for name in found - set(TABLES.get(section, SECTIONS)) if not is_price(name)) == []
