"""Rules between the values of a spec. Each is a small function that yields what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from hactl.errors import Problem
from hactl.spec import (
    rules_access,
    rules_addresses,
    rules_archive,
    rules_database,
    rules_roles,
    rules_services,
)
from hactl.spec.facts import Facts, gather
from hactl.spec.model import ClusterSpec

Rule = Callable[[Facts], Iterator[Problem]]

RULES: Final[tuple[Rule, ...]] = (
    rules_roles.node_names,
    rules_roles.one_role_each,
    rules_roles.database_pair,
    rules_roles.witnesses,
    rules_roles.archives,
    rules_addresses.different_nodes,
    rules_addresses.vip_is_free,
    rules_addresses.vip_in_its_network,
    rules_addresses.holders_in_the_network,
    rules_addresses.different_vips,
    rules_database.database_name,
    rules_database.parameters,
    rules_services.lease,
    rules_services.agents,
    rules_services.agents_differ,
    rules_services.agent_options,
    rules_services.application_entities,
    rules_services.storage,
    rules_services.ssh,
    rules_archive.archive_vip,
    rules_archive.servers,
    rules_archive.no_own_nodes,
    rules_archive.own_settings,
    rules_archive.different_servers,
    rules_access.people_have_a_way,
    rules_access.different_people,
    rules_access.subjects,
    rules_access.accounts,
    rules_access.two_person,
)


def broken(document: object) -> list[Problem]:
    """What the rules find in a plain document, which may have errors of other kinds too."""
    facts = gather(document)
    return [problem for rule in RULES for problem in rule(facts)]


def check(spec: ClusterSpec) -> list[Problem]:
    """What the rules find in a spec that was not made by `load`."""
    return broken(spec.model_dump(mode="json"))
