from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from service.throttling.networks import UNKNOWN, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
    ],
)
def test_an_address_belongs_to_a_network(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    "nonsense",
    ["", "unix:", "unknown", "_hidden", "192.0.2.1.5", "1::2::3", "192.0.2.1, ", "x" * 99],
)
def test_all_that_have_no_address_share_one_network(nonsense: str) -> None:
    assert network_of(nonsense) == UNKNOWN


def test_one_customer_with_a_whole_ipv6_network_counts_once() -> None:
    assert len({network_of(f"2001:db8:1:2:{n:x}::{n:x}") for n in range(1, 500)}) == 1
    assert len({network_of(f"2001:db8:1:{n:x}::1") for n in range(1, 500)}) == 499


@given(some.text(max_size=80))
def test_no_text_fails(text: str) -> None:
    assert network_of(text)
