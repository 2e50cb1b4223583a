"""What the agent may have root do on its node: the vocabulary that sudo and the script `act` share. Pure."""

from __future__ import annotations

from typing import Final

from hactl.spec.model import ClusterSpec

# Of database nodes. None of them takes a word: what they do is fixed in the script.
DATABASE_VERBS: Final = ("stop-postgres", "fence", "unfence", "kill-patroni", "wake-patroni", "reinit")
# Of archive nodes. `forget-probe` removes what an end-to-end check of this very node left behind.
ARCHIVE_VERBS: Final = ("stop-orthanc", "forget-probe", "redeploy-archive", "reconcile")
UNIT_VERBS: Final = ("restart", "start", "stop")


def units(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """The units that hactl brings to a node, which the verbs with a word take; not hactl's own."""
    roles = {
        "etcd.service": node in spec.voters,
        "patroni.service": node in spec.databases,
        "keepalived.service": node in spec.databases or node in spec.archives,
        "orthanc.service": node in spec.archives,
        "nginx.service": node in spec.archives,
        "prometheus.service": node in spec.witnesses,
        "prometheus-alertmanager.service": node in spec.witnesses,
    }
    return tuple(unit for unit, there in roles.items() if there)


def verbs(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """The verbs without a word."""
    database = DATABASE_VERBS if node in spec.databases else ()
    return (*database, *(ARCHIVE_VERBS if node in spec.archives else ()))


def sentences(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """Everything that may follow the script's name, word for word."""
    with_unit = (f"{verb} {unit}" for verb in UNIT_VERBS for unit in units(spec, node))
    return (*verbs(spec, node), *with_unit)
