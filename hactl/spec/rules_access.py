"""Who may do what: each person by a way of their own, and nobody by a name that opens more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hactl.errors import Problem
from hactl.spec.facts import Facts
from hactl.spec.rules_roles import RESERVED, RESERVED_BEGIN
from hactl.spec.shown import dotted

_WAYS: Final = ("keys", "os_users", "subjects")
_ACTS: Final = ("keys", "os_users")  # a certificate only looks
TWO: Final = 2


def people_have_a_way(facts: Facts) -> Iterator[Problem]:
    """Each person has an SSH key, an account or a certificate's subject."""
    for name, person in facts.people.items():
        if not any(person.get(way) for way in _WAYS):
            path = dotted(("access", "people", name))
            yield Problem(path, "", "has no way in", "keys: [ssh-ed25519 AAAA...]")


def different_people(facts: Facts) -> Iterator[Problem]:
    """No key, account or subject belongs to two people: the journal would not know who it was."""
    for way in _WAYS:
        first: dict[str, str] = {}
        for name, person in facts.people.items():
            for index, value in enumerate(_texts(person, way)):
                known = " ".join(value.split(" ")[:2]) if way == "keys" else value
                other = first.setdefault(known, name)
                if other != name:
                    path = dotted(("access", "people", name, way, index))
                    yield Problem(path, value[:40], f"{other} has this already")


def subjects(facts: Facts) -> Iterator[Problem]:
    """`subjects` needs `view_ca`, and no subject is a name of the cluster's own certificates."""
    for name, person in facts.people.items():
        path = dotted(("access", "people", name, "subjects"))
        found = _texts(person, "subjects")
        if found and not facts.access.get("view_ca"):
            reason = "nobody signs these: certificates of the cluster's own CA open everything"
            yield Problem(path, ", ".join(found), reason, "access.view_ca: /etc/ssl/site-ca.pem")
        for subject in found:
            if subject in RESERVED or subject in facts.nodes or subject.startswith(RESERVED_BEGIN):
                yield Problem(path, subject, "the cluster's own certificates have this name")


def accounts(facts: Facts) -> Iterator[Problem]:
    """`root` is nobody's account: root needs no gate."""
    for name, person in facts.people.items():
        if "root" in _texts(person, "os_users"):
            path = dotted(("access", "people", name, "os_users"))
            yield Problem(path, "root", "root reads the secrets, whatever stands here")


def two_person(facts: Facts) -> Iterator[Problem]:
    """`two_person` needs two people with the role `dangerous` who can act."""
    if facts.access.get("two_person") is not True:
        return
    able = [
        name
        for name, person in facts.people.items()
        if person.get("role") == "dangerous" and any(person.get(way) for way in _ACTS)
    ]
    if len(able) < TWO:
        reason = "nobody could approve: two people with role dangerous are needed, with keys or os_users"
        yield Problem("access.two_person", "true", reason)


def _texts(person: Any, way: str) -> list[str]:
    found = person.get(way)
    return [text for text in found if isinstance(text, str)] if isinstance(found, list | tuple) else []
