"""The power is cut after each durable step of each thing that writes; what is left must go on from there."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hactl.errors import Refused
from hactl.pki import ca
from hactl.pki.authority import AuthorityFiles, Phase
from hactl.pki.due import State
from hactl.pki.store import Store
from hactl.pki.uses import CLUSTER_CA, DICOM_CA, CaKind, certificates, modality
from tests.support.pki import Clock, age, initialised, small_spec

SPEC = small_spec()
ENOUGH = 10**9


class PowerCut(BaseException):
    """Nothing may catch it, as nothing catches a power cut."""


class Power:
    """Lets so many durable steps (file synced, renamed, removed) happen and no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = ENOUGH
        replace, unlink = Path.replace, Path.unlink
        monkeypatch.setattr(os, "fsync", lambda _: self._spend())
        monkeypatch.setattr(Path, "replace", lambda s, t: (self._spend(), replace(s, t))[1])
        monkeypatch.setattr(
            Path, "unlink", lambda p, missing_ok=False: (self._spend(), unlink(p, missing_ok))[1]
        )

    def _spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PowerCut

    def cuts(self, work: Callable[[Store], object], copies: Iterator[Store]) -> Iterator[tuple[int, Store]]:
        """Cut at step 0, 1, 2, ... of `work`, each on a copy of its own; ends when it runs through."""
        for steps, store in enumerate(copies):
            self.left = steps
            try:
                work(store)
            except PowerCut:
                self.left = ENOUGH
                yield steps, store
            else:
                self.left = ENOUGH
                assert steps >= 3, "sync, rename, sync: with less, this test tests nothing"
                return


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Power:
    # Two certificates, one of each CA, are as good as twenty here, and much faster.
    monkeypatch.setattr("hactl.pki.store.certificates", lambda spec: certificates(spec)[-2:])
    return Power(monkeypatch)


def copies(folder: Path, prepare: Callable[[Store], None] | None = None) -> Iterator[Store]:
    """Stores in folders of their own; with `prepare` each is a copy of one initialised and prepared once."""
    clock = Clock()
    if prepare is not None:
        prepare(initialised(folder / "first", SPEC, clock))
    for number in itertools.count():
        if prepare is not None:
            shutil.copytree(folder / "first" / "state", folder / str(number))
        yield Store(folder / str(number), clock)


def is_whole(store: Store) -> bool:
    found = {i.state for i in store.show(SPEC)} == {State.OK}
    leftovers = [p for p in store.state.rglob("*") if ".tmp-" in p.name or p.name.endswith(".next")]
    return found and not leftovers


def test_init_may_be_cut_anywhere_and_repeated(tmp_path: Path, power: Power) -> None:
    for steps, store in power.cuts(lambda s: s.init(SPEC), copies(tmp_path)):
        before = store.secrets() if store.secrets_file.exists() else None
        store.init(SPEC)
        assert is_whole(store), f"cut at step {steps}"
        assert before is None or store.secrets() == before


def test_the_first_init_of_a_state_of_before_may_be_cut_anywhere(tmp_path: Path, power: Power) -> None:
    before = copies(tmp_path, lambda store: age(store, SPEC))
    for steps, store in power.cuts(lambda s: s.init(SPEC), before):
        authority, secrets = store.ca.read_bytes(), store.secrets()
        store.cert("ops", "ops-dicom")
        store.init(SPEC)
        assert is_whole(store), f"cut at step {steps}"
        assert (store.ca.read_bytes(), store.secrets()) == (authority, secrets)
        assert untrusted(store, DICOM_CA) == []


def test_renew_may_be_cut_anywhere_and_readers_see_a_pair(tmp_path: Path, power: Power) -> None:
    def renew(store: Store) -> None:
        store.renew(SPEC, uses=["ops"], force=True)

    for steps, store in power.cuts(renew, copies(tmp_path, lambda _: None)):
        assert {i.state for i in store.show(SPEC)} == {State.OK}, f"cut at step {steps}"
        crt, key = store.cert("ops", "ops")
        certificate = ca.load_certificates(crt.read_bytes(), "c")[0]
        assert ca.belongs(certificate, ca.load_leaf_key(key.read_bytes(), "k")), f"cut at step {steps}"
        renew(store)
        assert is_whole(store), f"cut at step {steps}"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_modalitys_certificate_may_be_cut_anywhere(
    tmp_path: Path, power: Power, monkeypatch: pytest.MonkeyPatch, *, elsewhere: bool
) -> None:
    # Four keys in turn, as RSA keys take long to make: what is cut and what follows never have the same.
    keys = itertools.cycle([ca.new_leaf_key(modality(SPEC, "ops")) for _ in range(4)])
    monkeypatch.setattr(ca, "new_leaf_key", lambda wanted: next(keys) if wanted.rsa else ca.new_key())

    def folder(store: Store) -> Path:
        return store.state.with_suffix(".out") if elsewhere else store.state / "modalities" / "ops"

    def issue(store: Store) -> None:
        store.modality(SPEC, "ops", out=folder(store))

    for steps, store in power.cuts(issue, copies(tmp_path, lambda _: None)):
        before = store.show(SPEC)
        assert {i.state for i in before} == {State.OK}, f"cut at step {steps}"
        if "modality" in {i.use for i in before}:
            store.renew(SPEC)  # any command finishes it
        else:
            issue(store)
        assert is_whole(store), f"cut at step {steps}"
        assert sorted(p.name for p in folder(store).iterdir()) == ["dicom-ca.crt", "ops.crt", "ops.key"]
        certificate = ca.load_certificates((folder(store) / "ops.crt").read_bytes(), "c")[0]
        assert ca.belongs(certificate, ca.load_leaf_key((folder(store) / "ops.key").read_bytes(), "k"))


def authority(store: Store, kind: CaKind) -> AuthorityFiles:
    return AuthorityFiles(store.state / "ca", kind)


def untrusted(store: Store, kind: CaKind) -> list[str]:
    """Uses whose certificate no trusted CA signed: a node that had it would be refused."""
    trusted, found = authority(store, kind).bundle(), []
    for wanted in (c for c in certificates(SPEC)[-2:] if c.ca is kind):
        pem = (store.state / "certs" / wanted.node / f"{wanted.use}.crt").read_bytes()
        leaf = ca.load_certificates(pem, "c")[0]
        if not any(ca.signed_by(leaf, c) for c in trusted):
            found.append(wanted.use)
    return found


@pytest.mark.parametrize("kind", [CLUSTER_CA, DICOM_CA], ids=lambda kind: kind.use)
@pytest.mark.parametrize(
    ("done", "step", "phase"),
    [
        ([], "start", Phase.STAGED),
        (["start"], "switch", Phase.SWITCHED),
        (["start", "switch"], "finish", Phase.STEADY),
    ],
)
def test_a_ca_replacement_may_be_cut_anywhere(
    tmp_path: Path, power: Power, done: list[str], step: str, phase: Phase, kind: CaKind
) -> None:
    def prepare(store: Store) -> None:
        for earlier in done:
            store.replace_authority(SPEC, earlier, kind)

    cuts = power.cuts(lambda s: s.replace_authority(SPEC, step, kind), copies(tmp_path, prepare))
    for steps, store in cuts:
        assert untrusted(store, kind) == [], f"cut at step {steps}"
        try:
            store.replace_authority(SPEC, step, kind)
        except Refused:
            assert authority(store, kind).phase() is phase, f"cut at step {steps}"
        assert authority(store, kind).phase() is phase
        assert untrusted(store, kind) == []
        assert {i.state for i in store.show(SPEC)} == {State.OK}, f"cut at step {steps}"
