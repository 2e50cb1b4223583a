"""`access.people`: who may do what, and what no spec may say."""

from __future__ import annotations

from typing import Any

import pytest

from hactl.spec.document import Document
from hactl.spec.load import check
from tests.support.keys import public_key
from tests.support.specs import edited, found_in

ANNA = {"role": "dangerous", "keys": [f"{public_key(1)} anna@desk"]}
BERT = {"role": "dangerous", "os_users": ["bert"]}


def problems(**people: Any) -> list[str]:
    access = {"people": people}
    return [f"{p.path}: {p.reason}" for p in found_in({"access": access})]


def test_people_are_taken() -> None:
    people = {"access.people": {"anna": ANNA, "bert": BERT}, "access.two_person": True}
    spec = check(Document(edited(people)), "spec")
    assert spec.access.people["anna"].role == "dangerous"


@pytest.mark.parametrize(
    ("people", "path", "reason"),
    [
        ({"anna": {"role": "dangerous"}}, "access.people.anna", "has no way in"),
        ({"anna": {"role": "root", "os_users": ["a"]}}, "access.people.anna.role", "must be 'view'"),
        ({"anna": {"keys": [public_key(1)]}}, "access.people.anna.role", "is missing"),
        ({"anna": ANNA, "bert": {"role": "view", "keys": [f"{public_key(1)} b"]}}, "keys", "anna has this"),
        ({"anna": BERT, "bert": BERT}, "os_users", "anna has this already"),
        ({"a": {"role": "view", "subjects": ["anna"]}}, "access.people.a.subjects", "open everything"),
        ({"a": {"role": "view", "os_users": ["root"]}}, "access.people.a.os_users", "root reads"),
        ({"a": {"role": "view", "keys": ['command="x" ' + public_key(1)]}}, "keys", "no options"),
        ({"a": {"role": "view", "keys": [public_key(1) + "\nssh-rsa x"]}}, "keys", "one line"),
        ({"a": {"role": "view", "keys": [public_key(1)[:-8]]}}, "keys", "cut off or changed"),
        ({"a": {"role": "view", "keys": [public_key(1).replace("ed25519", "rsa")]}}, "keys", "changed"),
    ],
)  # fmt: skip
def test_what_no_spec_may_say(people: Any, path: str, reason: str) -> None:
    found = problems(**people)
    assert any(path in p and reason in p for p in found), found


def test_subjects_are_nobody_elses_names() -> None:
    access: dict[str, Any] = {"view_ca": "/etc/ssl/site.pem"}
    for name in ("db1", "prometheus", "hactl-db1", "ops"):
        access["people"] = {"a": {"role": "view", "subjects": [name]}}
        assert any("the cluster's own" in p.reason for p in found_in({"access": access})), name
    access["people"] = {"a": {"role": "view", "subjects": ["anna b"]}}
    assert found_in({"access": access}) == ()


def test_two_people_are_two() -> None:
    viewer = {"role": "view", "os_users": ["carl"]}
    looks = {"role": "dangerous", "subjects": ["dora"]}
    each: list[dict[str, Any]] = [
        {},
        {"anna": ANNA},
        {"anna": ANNA, "carl": viewer},
        {"anna": ANNA, "dora": looks},
    ]
    for people in each:
        access = {"two_person": True, "people": people, "view_ca": "/etc/ssl/site.pem"}
        assert [p.path for p in found_in({"access": access})] == ["access.two_person"]
