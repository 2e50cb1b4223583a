"""Whether the ports refuse what they must, and whether somebody looked: by the daily check's key in etcd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hactl.decide.codes import Finding, finding
from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.model import Unknown

OVERDUE: Final = 50 * 3600.0  # seconds: two daily checks missed, and two hours


def checked(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    if isinstance(view.control, Unknown) or not spec.witnesses:
        return
    found = view.control.tls_check
    if found is None:
        return
    for said in found.weak:
        yield finding("TLS_WEAK", said.partition(" ")[0], said)
    if found.weak_count > len(found.weak):
        yield finding("TLS_WEAK", "", f"and {found.weak_count - len(found.weak)} more")
    late = view.at - min(found.oldest, found.at)
    if late > OVERDUE:
        said = "; ".join(found.unproven[:3]) if view.at - found.at <= OVERDUE else f"no check by {found.node}"
        yield finding("TLS_CHECK_OVERDUE", "", f"for {late / 3600:.0f} h: {said}")


def never_checked(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """The doctor's: a new installation is not ill because its first check is minutes away."""
    if not isinstance(view.control, Unknown) and spec.witnesses and view.control.tls_check is None:
        yield finding("TLS_NOT_CHECKED")


CHECKS = (checked,)
