"""What rendering yields: files with their place, their rights, and what follows when they change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Component = Literal[
    "base", "pki", "hactl", "etcd", "postgres", "agent", "keepalived", "orthanc", "nginx", "prometheus",
    "alertmanager", "controller", "integrity",
]  # fmt: skip
OnChange = Literal["restart", "reload", "none"]


@dataclass(frozen=True)
class RenderedFile:
    """One file of one node.

    `validate` is an argv in which `%s` stands for the path of the new content, before it takes the old one's
    place; a code other than 0 means: keep the old one. `on_change` says what `unit` needs when the content
    changed. `secret` marks content that may be shown only masked. `mode` is octal, as text.
    """

    node: str
    path: str
    content: str = field(repr=False)
    component: Component
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    validate: tuple[str, ...] | None = None
    on_change: OnChange = "none"
    unit: str | None = None
    secret: bool = False
