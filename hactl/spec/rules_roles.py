"""Which nodes there must be, and what may run together on one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hactl.errors import Problem
from hactl.spec.facts import Facts
from hactl.spec.model import Role
from hactl.spec.shown import dotted

# "ops" is the operator's place in hactl's own files; localhost and like every machine has for itself. A
# node's name is also the one in its certificates, and there the others open doors: nginx takes them for
# hactl's own, PostgreSQL for its replication roles.
RESERVED: Final = {"ops", "localhost", "ip6-localhost", "ip6-loopback", "prometheus", "replicator", "rewind"}
RESERVED_BEGIN: Final = "hactl-"
MAX_VOTES: Final = 7  # etcd's own advice: more voters make each write slower and hardly safer

_TOGETHER: Final = {
    frozenset(
        {Role.DATABASE, Role.WITNESS}
    ): "a database node votes already, and the witness must survive its loss",
    frozenset(
        {Role.DATABASE, Role.ARCHIVE}
    ): "each of the two holds a virtual IP of its own, with rules of its own",
    frozenset({Role.WITNESS, Role.ARCHIVE}): "an archive's disk traffic delays the witness's vote",
}


def node_names(facts: Facts) -> Iterator[Problem]:
    """A node is not called `ops`, `prometheus`, `localhost`; no name begins `hactl-` or ends with `-`."""
    for name in facts.nodes:
        if name in RESERVED or name.startswith(RESERVED_BEGIN):
            yield Problem(
                dotted(("nodes", name)), name, "this name is taken by hactl or by every machine itself"
            )
        elif name.endswith("-"):
            yield Problem(dotted(("nodes", name)), name, "a host's name does not end with a hyphen")


def one_role_each(facts: Facts) -> Iterator[Problem]:
    """A node has one role, and no role twice."""
    for name, node in facts.nodes.items():
        roles = node.roles or ()
        path = dotted(("nodes", name, "roles"))
        if len(set(roles)) != len(roles):
            yield Problem(path, ", ".join(roles), "names a role twice")
        for pair, why in _TOGETHER.items():
            if pair <= set(roles):
                both = " and ".join(sorted(pair))
                yield Problem(
                    path, ", ".join(roles), f"{both} on one node: {why}", "give each a node of its own"
                )


def database_pair(facts: Facts) -> Iterator[Problem]:
    """There are exactly two database nodes."""
    found = facts.having(Role.DATABASE)
    if not facts.roles_known or len(found) == 2:
        return
    shown = ", ".join(found)
    if len(found) < 2:
        why = "nothing could take over when it is lost" if found else "the archive's index needs a place"
        count = "one database node" if found else "no database node"
        yield Problem("nodes", shown, f"there is {count}: {why}", "two nodes with roles: [database]")
    else:
        yield Problem(
            "nodes",
            shown,
            f"there are {len(found)} database nodes: hactl keeps a pair, in which who is left takes over",
            "two nodes with roles: [database]; others can hold votes as witnesses",
        )


def witnesses(facts: Facts) -> Iterator[Problem]:
    """There is a witness; database nodes and witnesses together are odd in number, at most seven."""
    if not facts.roles_known:
        return
    databases, found = facts.having(Role.DATABASE), facts.having(Role.WITNESS)
    voters = tuple(dict.fromkeys((*databases, *found)))
    votes = len(voters)
    if not found:
        reason = "there is no witness: one of two voters is no majority, so nothing would fail over"
        if len(databases) != 2:
            reason = "there is no witness: the database pair needs a third vote on a machine of its own"
        yield Problem("nodes", "", reason, "add a node with roles: [witness]")
    elif votes % 2 == 0:
        yield Problem(
            "nodes",
            ", ".join(voters),
            f"there are {votes} etcd votes, an even number: no safer than {votes - 1}",
            "an odd number of database nodes and witnesses together: 3 or 5",
        )
    if votes > MAX_VOTES:
        yield Problem("nodes", str(votes), f"etcd advises at most {MAX_VOTES} votes", "fewer witnesses")


def archives(facts: Facts) -> Iterator[Problem]:
    """There are at least two archive nodes, unless the archive is somebody else's."""
    found = facts.having(Role.ARCHIVE)
    if facts.roles_known and len(found) < 2 and facts.kind == "orthanc":
        count = f"only one archive node ({found[0]})" if found else "no archive node"
        reason = f"there is {count}; the archive must survive the loss of one"
        yield Problem("nodes", "", reason, "add one with roles: [archive]")
