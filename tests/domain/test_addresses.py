"""Whose address a request comes from."""

import pytest

from scalix.domain.identity.addresses import (
    NO_NETWORKS,
    Address,
    Networks,
    client_address,
    group_named,
    group_of,
    parse_address,
    parse_network,
)

PROXIES = Networks([parse_network("10.0.0.0/8"), parse_network("fd00::/8")])


def address(text: str) -> Address:
    found = parse_address(text)
    assert found is not None
    return found


def client(peer: str, forwarded: str, trusted: Networks = PROXIES) -> str:
    return str(client_address(parse_address(peer), forwarded.split(","), trusted))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:8080", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:0201", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:443", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_one_address_has_one_name_however_it_is_written(text: str, meant: str) -> None:
    assert str(parse_address(text)) == meant


@pytest.mark.parametrize(
    "text", ["", "unknown", "_hidden", "1.2.3", "01.2.3.4", "1.2.3.4.5", "::1::", "a" * 5000, "٣.1.1.1"]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None
    assert parse_address(text) not in PROXIES


def test_forwarded_addresses_count_only_from_a_trusted_peer() -> None:
    assert client("203.0.113.9", "192.0.2.1") == "203.0.113.9"
    assert client("10.1.1.1", "192.0.2.1") == "192.0.2.1"
    assert client("::ffff:10.1.1.1", "192.0.2.1") == "192.0.2.1"
    assert client("10.1.1.1", "192.0.2.1", NO_NETWORKS) == "10.1.1.1"


def test_the_rightmost_untrusted_hop_is_the_client_whatever_it_claims_itself() -> None:
    assert client("10.1.1.1", "198.51.100.1, 10.2.2.2, 192.0.2.1, 10.3.3.3") == "192.0.2.1"
    assert client("10.1.1.1", "10.2.2.2,10.3.3.3") == "10.2.2.2"
    assert client("10.1.1.1", "garbage, 192.0.2.1") == "192.0.2.1"


def test_a_hop_that_cannot_be_read_stands_for_the_proxy_that_wrote_it() -> None:
    assert client("10.1.1.1", "192.0.2.1, unknown") == "10.1.1.1"
    assert client("10.1.1.1", "192.0.2.1, unknown, 10.2.2.2") == "10.2.2.2"
    assert client("10.1.1.1", "") == "10.1.1.1"


def test_a_very_long_chain_is_read_from_its_near_end_only() -> None:
    assert client("10.1.1.1", ",".join(["192.0.2.1"] + ["10.0.0.1"] * 100_000)) == "10.0.0.1"


def test_a_client_without_an_address_stays_without_one() -> None:
    assert client_address(None, ["192.0.2.1"], PROXIES) is None


def test_ipv6_counts_by_its_64_bit_network_and_ipv4_by_address() -> None:
    assert group_of(address("2001:db8:1:2:3:4:5:6")) == "2001:db8:1:2::/64"
    assert group_of(address("2001:db8:1:2:ffff::")) == "2001:db8:1:2::/64"
    assert group_of(address("2001:db8:1:3::")) == "2001:db8:1:3::/64"
    assert group_of(address("::ffff:192.0.2.1")) == "192.0.2.1"


def test_a_group_can_be_named_by_an_address_in_it_or_by_itself() -> None:
    assert group_named("2001:db8::7") == group_named("2001:db8::/64") == "2001:db8::/64"
    assert group_named("::ffff:192.0.2.1") == "192.0.2.1"
    for text in ("2001:db8::/48", "192.0.2.0/24", "192.0.2.1/64", "here", ""):
        assert group_named(text) is None


def test_a_network_of_mapped_addresses_is_the_ipv4_network() -> None:
    assert address("192.0.2.77") in Networks([parse_network("::ffff:192.0.2.0/120")])
    assert address("2001:db8::1") not in Networks([parse_network("0.0.0.0/0")])
    with pytest.raises(ValueError, match="host bits"):
        parse_network("10.0.0.1/8")
