"""The rehearsal before a worker is ready reaches no provider, and nobody else may leave the provider out."""

from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.litellm_pre_call_utils import _CLIENT_MOCK_CONTROL_FIELDS, _key_or_team_allows_client_mock_response

from scalix.litellm_adapter.bridge import marks_of
from scalix.litellm_adapter.warm_up import _rehearsal
from tests.adapter.test_trimmed_calls import exchange


def test_litellm_takes_the_mock_answer_of_a_rehearsal_alone() -> None:
    assert "mock_response" in _CLIENT_MOCK_CONTROL_FIELDS
    assert _key_or_team_allows_client_mock_response(UserAPIKeyAuth(metadata=marks_of(_rehearsal(False))))
    assert not _key_or_team_allows_client_mock_response(UserAPIKeyAuth(metadata=marks_of(exchange())))
