"""The look at addresses, against real namespaces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hactl.adapters.command import run
from hactl.lab import glance, netns
from tests.support import leftovers

pytestmark = pytest.mark.lab


@pytest.fixture
def namespace() -> Iterator[str]:
    name = leftovers.name("glance")
    run(["ip", "netns", "add", name], within=10)
    lines = [
        "link set lo up",
        "link add br0 type bridge",
        *(f"link add p{n} type veth peer name q{n}" for n in range(40)),
        *(f"addr add 192.0.2.{n + 1}/24 dev p{n}" for n in range(40)),
        "link set p1 master br0",
        "link set p39 master br0",
    ]
    try:
        run(["ip", "-n", name, "-batch", "-"], within=20, stdin="\n".join(lines) + "\n")
        yield name
    finally:
        run(["ip", "netns", "delete", name], within=10)


def test_addresses_and_ports_of_a_bridge(namespace: str) -> None:
    with netns.entered(namespace):
        assert glance.addresses() == {"127.0.0.1", *(f"192.0.2.{n + 1}" for n in range(40))}
        assert glance.plugged() == {"p1", "p39"}


def test_the_caller_is_back_where_it_was(namespace: str) -> None:
    before = glance.addresses()
    with netns.entered(namespace):
        glance.addresses()
    assert glance.addresses() == before
