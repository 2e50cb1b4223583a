"""Secrets in the form that rendering takes."""

from __future__ import annotations

from dataclasses import replace

from tests.support.archive_pair import SECRETS


def test_what_is_masked_comes_in_one_order_whatever_the_process_hashes_to() -> None:
    """Bundles hold it, and nodes compare bundles."""
    secrets = replace(SECRETS, replicator="bb", rewind="aa", app="cc", monitor="dd", probe="long", scram={})
    assert [v for v in secrets.values() if len(v) == 2] == sorted(v for v in secrets.values() if len(v) == 2)
    assert [len(v) for v in secrets.values()] == sorted((len(v) for v in secrets.values()), reverse=True)
