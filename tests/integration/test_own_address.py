"""Which addresses are this machine's, in a namespace of its own, also where the kernel lets all be bound."""

from __future__ import annotations

import pytest

from hactl.adapters import own_address
from hactl.adapters.command import run
from hactl.adapters.own_node import own_node
from hactl.errors import Refused
from hactl.lab import netns
from tests.support.node_net import namespaces
from tests.support.views import demo_spec

DB2, VIP, ELSEWHERE = "192.0.2.12", "192.0.2.100", "192.0.2.11"


def _nonlocal_bind(value: str) -> None:
    """In a container /proc/sys can be read only; a /proc of one's own never is."""
    script = 'mount -t proc proc /proc && echo "$1" >/proc/sys/net/ipv4/ip_nonlocal_bind'
    run(["unshare", "--mount", "sh", "-c", script, "set", value], within=5)


@pytest.mark.parametrize("any_binds", ["0", "1"])
def test_a_node_knows_itself_also_where_every_address_can_be_bound(any_binds: str) -> None:
    with namespaces() as (_, node), netns.entered(node):
        _nonlocal_bind(any_binds)
        with pytest.raises(Refused):
            own_node(demo_spec())
        for address in (DB2, VIP):
            run(["ip", "address", "add", f"{address}/24", "dev", "client0"], within=5)
        assert own_node(demo_spec()) == "db2"
        assert own_address.here(VIP)
        assert not own_address.here(ELSEWHERE)
