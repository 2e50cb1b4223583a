"""What the units run, put together from a spec and a node's credentials, against a real archive pair."""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hactl.adapters.integrity_files import integrity_facts
from hactl.errors import Refused
from hactl.integrity import build, programs, reports
from hactl.integrity.build import Here
from hactl.integrity.chain import Anchor
from hactl.integrity.door import OrthancDoor
from hactl.integrity.fate import Fork
from hactl.integrity.hand import Hand
from hactl.site import Site
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec
from tests.support import archive_pair, specs
from tests.support.archive_pair import HTTPS, SECRETS, ArchivePair, sql
from tests.support.dcmtk import Client, image, tls_options
from tests.support.integrity import MemoryAnchors, hand_script, real_hand
from tests.support.leftovers import scratch
from tests.support.servers import wait_until


class Notes(MemoryAnchors):
    """Etcd's part: this pair has none."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[int, str]] = []

    def forks(self) -> tuple[Fork, ...]:
        return ()

    def note(self, timeline: int, node: str, result: str) -> None:
        assert result
        self.noted.append((timeline, node))


NOTES = Notes()


@dataclass(frozen=True)
class LocalHere(Here):
    """A node whose etcd and hand are this test's."""

    script: Path = Path("/nonexistent")

    def notes(self) -> Any:
        return NOTES

    def hand(self) -> Hand:
        return real_hand(self.script, archive_pair.account("orthanc"))


def spec_of(pair: ArchivePair) -> ClusterSpec:
    """The sample, with this machine's addresses."""
    text = specs.SAMPLE.read_text(encoding="utf-8").replace("/srv/images", "/srv/images-here")
    spec = load(text, "sample")
    address = type(spec.nodes["arc1"].address)
    vip = type(spec.vips.database.address)(f"{pair.database}/24")
    nodes = {**spec.nodes, "arc1": spec.nodes["arc1"].model_copy(update={
        "address": address(pair.places["arc1"].address),
    })}  # fmt: skip
    vips = spec.vips.model_copy(update={"database": spec.vips.database.model_copy(update={"address": vip})})
    scrub = spec.archive.scrub.model_copy(update={"rate": 0, "load": 0.0})
    archive = spec.archive.model_copy(update={"storage": str(pair.folder / "images"), "scrub": scrub})
    return spec.model_copy(update={"nodes": nodes, "vips": vips, "archive": archive})


@pytest.fixture(scope="module")
def pair() -> Iterator[ArchivePair]:
    with archive_pair.archive_pair() as running:
        yield running


@pytest.fixture
def here(pair: ArchivePair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHere]:
    password = SECRETS.app.replace("\\", "\\\\").replace(":", "\\:")
    pgpass = tmp_path / "pgpass"
    pgpass.touch(mode=0o600)
    pgpass.write_text(f"{pair.database}:5432:orthanc:orthanc:{password}\n")
    pki = functools.partial(pair.pki, "arc1")
    site = Site(
        tmp_path, pki("ca.crt"), pki("hactl.crt"), pki("hactl.key"), pgpass, tmp_path, None,
        on_node=True, lab=None,
    )  # fmt: skip
    monkeypatch.setattr(build, "OrthancDoor", functools.partial(OrthancDoor, port=HTTPS))
    stop, state = threading.Event(), tmp_path / "state"
    state.mkdir()
    with scratch() as folder:  # Orthanc's account runs it
        script = hand_script(folder, pair.folder / "images")
        yield LocalHere(spec_of(pair), site, "arc1", stop.wait, stop.is_set, state, script)


def quiet(event: str, **fields: object) -> None:
    """Shown when a test fails."""
    print(event, fields)  # noqa: T201


def stored(pair: ArchivePair, folder: Path) -> Any:
    picture = image(folder)
    client = Client("127.0.0.1", pair.places["arc1"].dicom, tls_options(pair.pki("arc1", ""), "ops-dicom"))
    done = client.call("storescu", str(picture.path))
    assert done.returncode == 0, done.stderr
    return picture


def test_an_image_s_way_through_all_three(pair: ArchivePair, here: LocalHere, tmp_path: Path) -> None:
    stop = threading.Event()
    follower = threading.Thread(target=programs.follow, args=(here, stop, quiet), daemon=True)
    follower.start()
    try:
        wait_until("the follower looks", lambda: integrity_facts(here.state).follows is not None, 60)
        picture = stored(pair, tmp_path)
        seen = lambda: integrity_facts(here.state).objects == 1  # noqa: E731 - a question, not a function
        wait_until("the image is in the manifest", seen, 60)
    finally:
        stop.set()
        follower.join(30)
    assert not follower.is_alive()
    assert "arc1" in NOTES.heads
    _scrubbed(here)
    _reconciled(pair, here, picture)


def _scrubbed(here: LocalHere) -> None:
    progress = programs.scrub(here, quiet)
    assert (progress.state, progress.done, progress.known) == ("done", 1, 1)
    report = json.loads(here.file(reports.SCRUB_REPORT).read_text())
    assert report["marks"] == []
    facts = integrity_facts(here.state)
    assert facts.scrub == "done"
    assert facts.scrubbed is not None
    assert facts.scrubbed < 600
    head = NOTES.heads["arc1"]
    NOTES.heads["arc1"] = Anchor("arc1", head.segment, "0" * 64)  # as if the manifest had been written anew
    assert programs.scrub(here, quiet).manifest
    assert integrity_facts(here.state).tampered
    NOTES.heads["arc1"] = head


def _reconciled(pair: ArchivePair, here: LocalHere, picture: Any) -> None:
    uuid = sql(pair, "SELECT uuid FROM attachedfiles", "orthanc")
    path = Path(here.spec.archive.storage) / uuid[:2] / uuid[2:4] / uuid
    old = time.time() - 3600
    sql(pair, "DELETE FROM resources; DELETE FROM deletedfiles", "orthanc")
    here.file("manifest.db").unlink()  # a manifest that has never seen it
    os.utime(path, (old, old))
    dry = programs.reconcile(here, quiet, dry=True, since=None, force=False)
    assert (dry.fates["lost"], dry.restored) == (1, 0)
    assert NOTES.noted == []
    result = programs.reconcile(here, quiet, dry=False, since=None, force=False)
    assert (result.restored, result.whole) == (1, True), result.items
    assert NOTES.noted == [(1, "arc1")]
    facts = integrity_facts(here.state)
    assert (facts.reconcile, facts.restored, facts.timeline) == ("done", 1, 1)
    assert sql(pair, "SELECT count(*) FROM attachedfiles", "orthanc") == "1"
    assert picture.instance in sql(pair, "SELECT string_agg(value, ' ') FROM dicomidentifiers", "orthanc")
    again = programs.reconcile(here, quiet, dry=False, since=None, force=False)
    assert (again.restored, sum(again.fates.values())) == (0, 0)


def test_a_run_that_fails_says_so_in_its_file(here: LocalHere) -> None:
    marker = Path(here.spec.archive.storage) / ".hactl-storage"
    content = marker.read_text()
    marker.write_text("other\n")
    try:
        for act in (
            lambda: programs.scrub(here, quiet),
            lambda: programs.reconcile(here, quiet, dry=False, since=None, force=False),
        ):
            with pytest.raises(Refused):
                act()
    finally:
        marker.write_text(content)
    facts = integrity_facts(here.state)
    assert (facts.scrub, facts.reconcile) == ("failed", "failed")


def test_a_folder_that_is_not_ours_is_refused(here: LocalHere) -> None:
    with pytest.raises(Refused, match="cannot be written"):
        LocalHere(here.spec, here.site, "arc1", here.wait, here.stopping, Path("/nonexistent"))
