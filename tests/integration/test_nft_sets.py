"""Set elements through netlink, against the kernel and nft's own listing, in a namespace of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hactl.adapters.command import run
from hactl.adapters.nft_sets import NftSet, NoSuchSet, emptied, removed, renewed
from hactl.lab import netns
from tests.support.node_net import namespaces

A, B = "192.0.2.100", "192.0.2.7"


@pytest.fixture
def lease() -> Iterator[NftSet]:
    with namespaces() as (node, _), netns.entered(node):
        run(["nft", "add table inet t; add set inet t lease { type ipv4_addr; flags timeout; }"], within=5)
        found = NftSet("t", "lease")
        yield found
        found.close()


def listed() -> str:
    return run(["nft", "list", "set", "inet", "t", "lease"], within=5).out


def test_an_element_ends_when_it_was_told_to(lease: NftSet) -> None:
    lease.change(renewed(A, 700))
    assert "192.0.2.100 timeout 700ms" in listed()
    time.sleep(0.75)
    assert A not in listed()


@pytest.mark.parametrize(
    "before", ["", " timeout 60s", " timeout 100ms"], ids=["endless", "longer", "shorter"]
)
def test_whatever_end_it_had_it_gets_the_new_one(lease: NftSet, before: str) -> None:
    run(["nft", f"add element inet t lease {{ {A}{before} }}"], within=5)
    lease.change(renewed(A, 5000))
    assert "timeout 5s" in listed()


def test_renewing_one_leaves_others_and_emptying_leaves_none(lease: NftSet) -> None:
    lease.change(renewed(A, 60_000))
    lease.change(renewed(B, 60_000))
    lease.change(removed(B))
    lease.change(removed(B))
    assert A in listed()
    assert B not in listed()
    lease.change(emptied())
    lease.change(emptied())
    assert A not in listed()


def test_a_missing_table_is_told_apart(lease: NftSet) -> None:
    run(["nft", "delete table inet t"], within=5)
    for changes in (renewed(A, 1000), emptied(), removed(A)):
        with pytest.raises(NoSuchSet):
            lease.change(changes)


def test_it_takes_a_millisecond_where_a_program_takes_ten(lease: NftSet) -> None:
    took = []
    for _ in range(50):
        start = time.monotonic()
        lease.change(renewed(A, 3000))
        took.append(time.monotonic() - start)
    assert sorted(took)[25] < 0.002
