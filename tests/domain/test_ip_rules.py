"""Allow and deny lists of addresses."""

from scalix.domain.identity.addresses import parse_address
from scalix.domain.identity.ip_rules import ANYBODY, IpRules


def test_without_rules_anybody_may_call_from_anywhere() -> None:
    assert ANYBODY.permits(parse_address("192.0.2.1"))
    assert ANYBODY.permits(None)


def test_who_is_denied_may_not_call_even_if_allowed() -> None:
    rules = IpRules.parse(allow=["10.0.0.0/8"], deny=["10.9.0.0/16"])
    assert rules.permits(parse_address("10.1.2.3"))
    assert not rules.permits(parse_address("10.9.2.3"))
    assert not rules.permits(parse_address("11.0.0.1"))


def test_an_ipv4_address_is_the_same_within_ipv6() -> None:
    rules = IpRules.parse(deny=["203.0.113.0/24"])
    assert not rules.permits(parse_address("::ffff:203.0.113.9"))
    assert rules.permits(parse_address("2001:db8::1"))


def test_an_unknown_address_is_on_no_list() -> None:
    assert not IpRules.parse(allow=["0.0.0.0/0", "::/0"]).permits(None)
    assert IpRules.parse(deny=["0.0.0.0/0"]).permits(None)
