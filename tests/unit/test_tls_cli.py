from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hactl.adapters import tls_matrix
from hactl.cli.app import root
from hactl.decide import tls
from hactl.errors import NotHealthy, Refused, Unreachable, UsageError
from hactl.pki.store import Store
from hactl.view.tls import Endpoint, Offer, Outcome, Seen
from tests.support.pki import sample_spec

SPEC = Path(__file__).resolve().parents[1] / "samples" / "cluster.yaml"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With all certificates; only what is asked for matters here."""
    folder = tmp_path_factory.mktemp("site") / "state"
    Store(folder).init(sample_spec())
    return folder


def call(
    state: Path, monkeypatch: pytest.MonkeyPatch, differ: dict[Offer, Outcome], *words: str
) -> tuple[Any, str]:
    """`differ`: what every endpoint does otherwise than it should."""

    def answers(_: object, offers: dict[Endpoint, tuple[Offer, ...]]) -> dict[Endpoint, list[Seen]]:
        def one(offer: Offer) -> Seen:
            good = Outcome.SERVED if offer in tls.GOOD else Outcome.REFUSED
            return Seen(offer, differ.get(offer, good), "so it was")

        return {endpoint: [one(o) for o in chosen] for endpoint, chosen in offers.items()}

    monkeypatch.setattr(tls_matrix, "run", answers)
    monkeypatch.setenv("HACTL_STATE", str(state))
    done = CliRunner().invoke(root, ["--spec", str(SPEC), "tls", "check", *words])
    return done.exception, done.stdout


def test_all_is_well(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error, out = call(state, monkeypatch, {})
    assert error is None
    assert out.count("ok ") == len(tls.endpoints(sample_spec(), inside=False))


def test_a_weak_port_ends_with_7_and_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error, out = call(state, monkeypatch, {Offer.TLS_1_0: Outcome.SERVED}, "--only", "arc1", "-o", "json")
    assert isinstance(error, NotHealthy)
    found = json.loads(out)
    assert [(e["name"], e["verdict"]) for e in found["endpoints"]] == [("arc1", "weak"), ("arc1", "weak")]
    assert found["offered"] == {"tls1.0": True, "tls1.1": True}
    weak = [o for o in found["endpoints"][0]["offers"] if o["verdict"] == "weak"]
    assert [(o["offer"], o["expected"], o["outcome"]) for o in weak] == [("tls1.0", "refused", "served")]


def test_what_is_not_proven_ends_with_4(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error, out = call(state, monkeypatch, {Offer.EXPIRED: Outcome.UNKNOWN})
    assert isinstance(error, Unreachable)
    assert "so it was" in out


def test_only_known_names_and_evidence_only_on_the_witness(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(call(state, monkeypatch, {}, "--only", "arc9")[0], UsageError)
    assert isinstance(call(state, monkeypatch, {}, "--record")[0], Refused)
