"""Ids of requests: the client's own where it is sane, and never one that could be charged once for two requests."""

import pytest

from scalix.domain.requests.request_ids import made_at_ms, request_id, told

NOW_MS = 1_772_107_200_123
TIME = f"{NOW_MS:012x}"


def of(sent: str | None) -> str:
    return request_id(sent, lambda number: "0f" * number, NOW_MS)


@pytest.mark.parametrize("sent", ["req-1", "a" * 64, "7f3e.B_c-9", "0af7651916cd43dd8448eb211c80319c"])
def test_a_clients_own_id_is_told_to_it_and_is_followed_by_digits_of_ours(sent: str) -> None:
    assert told(of(sent)) == sent
    assert of(sent) == f"{sent}~{TIME}{'0f' * 8}"


@pytest.mark.parametrize(
    "sent",
    [None, "", "a" * 65, "a b", "a\nb", "a~b", "é", "-x", "grace@example.com", "a/b", "sk-canary-0123456789abcdef"],
)
def test_another_one_is_replaced(sent: str | None) -> None:
    assert of(sent) == told(of(sent)) == TIME + "0f" * 10


def test_an_id_tells_when_it_was_made_unless_it_is_of_somebody_elses_making() -> None:
    assert [made_at_ms(of(sent)) for sent in (None, "mine-1", "0af7651916cd43dd8448eb211c80319c")] == [NOW_MS] * 3
    assert [made_at_ms(one) for one in ("", "mine-1", "batch-0001", f"{TIME}0f", f"é~{TIME}x")] == [None] * 5
