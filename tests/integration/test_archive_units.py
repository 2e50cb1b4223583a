"""systemd itself reads the units of archive nodes and the witness, with their drop-ins, as on a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rendered import as_node, install


@pytest.mark.parametrize(
    ("node", "unit"),
    [
        ("arc1", "orthanc.service"),
        ("arc1", "nginx.service"),
        ("wit1", "prometheus.service"),
        *(
            ("arc1", f"hactl-{name}")
            for name in (
                "manifest.service",
                "scrub.service",
                "scrub.timer",
                "reconcile.service",
                "reconcile-dry.service",
                "hand.socket",
            )
        ),
    ],
)
def test_units_are_understood(node: str, unit: str, tmp_path: Path) -> None:
    tree = install(node, tmp_path)
    done = as_node(tree, ["systemd-analyze", "verify", "--recursive-errors=no", unit])
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
