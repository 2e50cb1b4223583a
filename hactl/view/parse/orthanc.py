"""Orthanc's REST answers, and nginx's own word on which node it runs."""

from __future__ import annotations

from hactl.view.parse.fields import document, mapping, number, text


def parse_system(body: bytes) -> str:
    """GET /system: Orthanc's version.

    Raises:
        ValueError: not the answer of an Orthanc.

    """
    return text(mapping(document(body, "/system"), "/system").get("Version"), "/system: Version")


def parse_last_change(body: bytes) -> int:
    """GET /changes?last: the number of the newest change; 0 in an empty archive. It is read from the index.

    Raises:
        ValueError: not the answer of an Orthanc.

    """
    last = number(mapping(document(body, "/changes"), "/changes").get("Last"))
    if last is None:
        raise ValueError("/changes: no Last")
    return last


def parse_node(body: bytes) -> str:
    """GET /hactl/node at an archive node's nginx: the node's name.

    Raises:
        ValueError: something else answers there.

    """
    return text(mapping(document(body, "/hactl/node"), "/hactl/node").get("node"), "/hactl/node: node")
