"""AE titles that hactl itself calls the archive with."""

from __future__ import annotations

from typing import Final

from hactl.spec.model import ClusterSpec

ECHO: Final = "HACTLECHO"
OPERATOR: Final = "HACTL"  # of commands that are run where the operator sits


def echo_aets(spec: ClusterSpec) -> dict[str, str]:
    """By the node that runs a controller: the AE title of its C-ECHO, which may do nothing else.

    One for each, because Orthanc takes an AE title from one address only. A modality that has such a title
    keeps it, and that controller has none.
    """
    taken = {m.aet for m in spec.archive.modalities.values()}
    titles = {node: f"{ECHO}{number}" for number, node in enumerate(spec.voters, 1)}
    return {node: title for node, title in titles.items() if title not in taken}
