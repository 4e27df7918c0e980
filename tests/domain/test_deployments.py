"""How the shares of a model's deployments are dealt."""

from collections import Counter

from scalix.domain.deployments import Deployment, next_by_weight


def some(*weights: float) -> list[Deployment]:
    return [Deployment(f"m#{number}", "openai/m", weight=weight) for number, weight in enumerate(weights, start=1)]


def dealt(deployments: list[Deployment], turns: int, credit: dict[str, float]) -> list[int]:
    taken = Counter(next_by_weight(deployments, credit).id for _ in range(turns))
    return [taken[one.id] for one in deployments]


def test_shares_are_by_weight_exactly_and_without_bursts() -> None:
    deployments, credit = some(3, 2, 1), dict[str, float]()
    assert [dealt(deployments, 6, credit) for _ in range(100)] == [[3, 2, 1]] * 100
    order = [next_by_weight(deployments, credit).id for _ in range(6)]
    assert all(order[place : place + 3] != ["m#1"] * 3 for place in range(4))


def test_one_without_weight_is_asked_only_where_no_other_is_left() -> None:
    assert dealt(some(1, 0), 10, {}) == [10, 0]
    assert dealt(some(0, 0), 10, {}) == [5, 5]


def test_the_share_of_one_that_is_left_out_is_dealt_among_the_others_and_it_has_its_own_again_later() -> None:
    deployments, credit = some(3, 2, 1), dict[str, float]()
    dealt(deployments, 7, credit)
    without = dealt(deployments[:1] + deployments[2:], 400, credit)
    assert abs(without[0] - 300) <= 1
    again = dealt(deployments, 600, credit)
    assert [abs(got - due) <= 2 for got, due in zip(again, (300, 200, 100), strict=True)] == [True] * 3
