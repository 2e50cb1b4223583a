"""Which of two certificates a client shows: the spare one while the first is refused or unreadable."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from hactl.adapters import http
from hactl.adapters.http import SPARE_FOR, HttpsClient
from hactl.errors import Unreachable
from hactl.pki.store import Store


@pytest.fixture
def pki(store: Store, tmp_path: Path) -> Path:
    """As on a node."""
    folder = tmp_path / "pki"
    folder.mkdir()
    shutil.copy(store.ca, folder / "ca.crt")
    for use in ("hactl", "hactl-spare"):
        for file in store.cert("wit1", use):
            shutil.copy(file, folder / file.name)
    return folder


@pytest.fixture
def client(pki: Path) -> HttpsClient:
    spare = (pki / "hactl-spare.crt", pki / "hactl-spare.key")
    return HttpsClient(pki / "ca.crt", pki / "hactl.crt", pki / "hactl.key", spare)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found = [time.monotonic()]
    monkeypatch.setattr(http.time, "monotonic", lambda: found[0])
    return found


def test_the_first_is_shown_while_nobody_complains(client: HttpsClient) -> None:
    assert client.context() is client.context()
    assert client.stand_in() == ""


def test_refused_it_is_the_spare_one_s_turn_and_after_a_while_its_own_again(
    client: HttpsClient, now: list[float]
) -> None:
    own = client.context()
    client.not_believed(own, "it refuses this machine's certificate")
    spare = client.context()
    assert spare is not own
    assert client.stand_in() == "it refuses this machine's certificate"
    client.not_believed(own, "another connection of before")
    assert client.context() is spare
    now[0] += SPARE_FOR + 1
    assert client.context() is own
    assert client.stand_in() == ""


def test_when_both_are_refused_they_take_turns(client: HttpsClient) -> None:
    own = client.context()
    client.not_believed(own, "no")
    client.not_believed(client.context(), "no")
    assert client.context() is own


def test_a_renewed_certificate_is_shown_at_once(client: HttpsClient, pki: Path, store: Store) -> None:
    own = client.context()
    client.not_believed(own, "no")
    for file in store.cert("wit1", "hactl"):
        (pki / file.name).unlink()
        shutil.copyfile(file, pki / file.name)
    assert client.stand_in()
    renewed = client.context()
    assert renewed is not own
    assert client.stand_in() == ""


def test_one_that_cannot_be_read_is_replaced_by_the_spare_one(client: HttpsClient, pki: Path) -> None:
    (pki / "hactl.key").unlink()
    client.context()
    assert "hactl.crt" in client.stand_in()
    assert "hactl-spare" not in client.stand_in()


def test_without_a_spare_one_that_can_be_read_all_is_as_ever(client: HttpsClient, pki: Path) -> None:
    (pki / "hactl-spare.crt").unlink()
    own = client.context()
    client.not_believed(own, "no")
    assert client.context() is own
    (pki / "hactl.crt").unlink()
    assert client.context() is own, "what was read once is used on"
    lone = HttpsClient(pki / "ca.crt", pki / "hactl.crt", pki / "hactl.key", (pki / "x", pki / "y"))
    with pytest.raises(Unreachable, match=r"hactl\.crt"):
        lone.context()
