"""What is loaded for forked workers, so that they need not: all of it there in the LiteLLM that is installed."""

import importlib

import pytest

from scalix.litellm_adapter.late_parts import _MODELS, _MODULES, load_late_parts
from scalix.litellm_adapter.seam_checks import found_at


@pytest.mark.parametrize("name", _MODULES)
def test_a_part_is_there(name: str) -> None:
    assert importlib.import_module(name)


def test_no_model_that_a_start_uses_is_built_anew_after_it_was_loaded() -> None:
    load_late_parts()
    assert [name for name in _MODELS if found_at(name).model_rebuild() is not None] == []
