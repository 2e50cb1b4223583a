"""A client of the TLS check with certificates made for a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hactl.adapters import tls_matrix
from hactl.adapters.tls_offer import Pair
from hactl.adapters.tls_talk import Titles
from hactl.decide import tls
from hactl.view.tls import Endpoint

TITLES = Titles("PACS", "HACTL")


def checked(
    files: Mapping[str, tls_matrix.Files], endpoints: Sequence[Endpoint], folder: Path, within: float = 4
) -> dict[str, tls.Row]:
    """`files`: of the two CAs, `cluster` and `dicom`. Rows by `NAME KIND OFFER`."""
    folder.mkdir(mode=0o700, exist_ok=True, parents=True)
    for old in folder.glob("foreign.*"):
        old.unlink()
    client = tls_matrix.Client(files["cluster"], files["dicom"], TITLES, folder, within)
    made = tls_matrix.callers(client)
    assert all(tls_matrix.can(made).values()), "this machine cannot offer old TLS, the test proves nothing"
    seen = tls_matrix.run(made, {e: tls.offers(e.speaks) for e in endpoints}, sleep=lambda _: None)
    return {f"{e} {row.seen.offer}": row for e, found in seen.items() for row in tls.judge(e, found)}


def pair(folder: Path, name: str) -> Pair:
    return Pair(folder / f"{name}.crt", folder / f"{name}.key")
