"""Follower, scrub and reconcile against a real pair: PostgreSQL, two Orthancs, nginx."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hactl.adapters.http import HttpsClient
from hactl.drill import images
from hactl.integrity import dicom
from hactl.integrity.door import OrthancDoor
from hactl.integrity.fate import Fork
from hactl.integrity.follow import Follower, FollowParts
from hactl.integrity.index import Index
from hactl.integrity.manifest import Manifest
from hactl.integrity.marks import Marks
from hactl.integrity.mend import Mender
from hactl.integrity.model import place
from hactl.integrity.plan import Plan
from hactl.integrity.reconcile import Reconcile, ReconcileParts, Result
from hactl.integrity.reports import Progress
from hactl.integrity.scrub import Scrub, ScrubParts
from hactl.integrity.storage import Storage
from hactl.units import Lsn
from tests.support import archive_pair
from tests.support.archive_pair import HTTPS, SECRETS, ArchivePair, sql
from tests.support.integrity import FixedForks, MemoryAnchors, hand_script, real_hand, unhurried
from tests.support.leftovers import scratch


@dataclass
class Site:
    """The pair, and hactl's own things beside it."""

    pair: ArchivePair
    folder: Path
    manifest: Manifest
    marks: Marks
    forks: FixedForks

    @property
    def root(self) -> Path:
        return self.pair.folder / "images"

    @property
    def storage(self) -> Storage:
        return Storage(self.root, "demo")

    def index(self) -> Index:
        host = self.pair.database
        return Index({
            "host": host, "user": "orthanc", "dbname": "orthanc", "password": SECRETS.app,
            "sslmode": "verify-full", "sslrootcert": str(self.pair.pki("arc1", "ca.crt")),
        })  # fmt: skip

    def hand(self) -> Any:
        return real_hand(hand_script(self.folder, self.root), archive_pair.account("orthanc"))

    def follower(self) -> Follower:
        return Follower(FollowParts(
            "arc1", self.index(), self.storage, self.manifest, self.marks, MemoryAnchors(), unhurried(),
            time.monotonic, lambda: "now",
        ))  # fmt: skip

    def ask(self, method: str, path: str, body: bytes | None = None, node: str = "arc1") -> Any:
        return json.loads(self._http(method, path, body, node) or b"null")

    def _http(self, method: str, path: str, body: bytes | None, node: str) -> bytes:
        word = base64.b64encode(f"hactl_admin:{SECRETS.orthanc_admin}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.pair.places[node].http, timeout=60)
        try:
            connection.request(method, path, body=body, headers={"Authorization": f"Basic {word}"})
            answer = connection.getresponse()
            found = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, (path, answer.status, found[:300])
        return found

    def store(self, run: str, count: int, *, first: int = 0) -> list[tuple[images.Image, str, Path]]:
        """Images stored by REST: with Orthanc's name for each, and its file."""
        found = []
        for image in images.make(run, count, first=first):
            answer = self.ask("POST", "/instances", images.encoded(image))
            row = self.index().image(answer["ID"])
            assert row is not None
            found.append((image, answer["ID"], self.root / place(row.uuid)))
        return found

    def pixels(self, public_id: str, node: str = "arc2") -> str:
        """SHA-256 of an image's pixels, as the other node hands it out."""
        return images.digest_of(self._http("GET", f"/instances/{public_id}/file", None, node))

    def reconcile(self, *, dry: bool = False, since: float = 0.0, grace: float = 0.0) -> Result:
        https = HttpsClient(*(self.pair.pki("arc1", n) for n in ("ca.crt", "hactl.crt", "hactl.key")))
        parts = ReconcileParts(
            index=self.index(), storage=self.storage, plan=Plan(self.folder / "r.db"),
            manifest=self.manifest, marks=self.marks, forks=self.forks,
            door=OrthancDoor(https, self.pair.places["arc1"].address, HTTPS), hand=self.hand(),
            since=since, wait=lambda s: bool(time.sleep(min(s, 3.0))), grace=grace,
        )  # fmt: skip
        return Reconcile(parts, "run", dry=dry).run()

    def scrub(self, *copies: Path) -> Progress:
        progress = Progress(run=f"s{time.monotonic()}")
        parts = ScrubParts(
            index=self.index(), storage=self.storage, plan=Plan(self.folder / "s.db"),
            manifest=self.manifest, marks=self.marks, pace=unhurried(), readers=2, save=lambda _: None,
            stopping=lambda: False, mender=Mender(self.storage, copies, self.hand()),
        )  # fmt: skip
        assert Scrub(parts, progress).run()
        return progress

    def lose_row(self, public_id: str) -> None:
        """The row as if its transaction had been lost: gone, and no table says that it was ever there."""
        statements = (
            "BEGIN", "CREATE TEMP TABLE kept AS SELECT * FROM deletedfiles",
            f"DELETE FROM resources WHERE publicid = '{public_id}'",  # noqa: S608 - a test's own value
            "DELETE FROM deletedfiles", "INSERT INTO deletedfiles SELECT * FROM kept",
            "DELETE FROM deletedresources", "DELETE FROM remainingancestor", "COMMIT",
        )  # fmt: skip
        done = sql(self.pair, ";\n".join(statements), "orthanc")
        assert not done.startswith("ERROR"), done


@pytest.fixture(scope="module")
def pair() -> Iterator[ArchivePair]:
    with archive_pair.archive_pair() as running:
        yield running


@pytest.fixture
def site(pair: ArchivePair) -> Iterator[Site]:
    with scratch() as folder:
        found = Site(pair, folder, Manifest(folder / "m.db", "arc1"), Marks(folder / "k.db"), FixedForks())
        yield found
        found.manifest.close()
        found.marks.close()


def follow(follower: Follower) -> None:
    while follower.once():
        pass


def test_what_the_design_rests_on_is_as_orthanc_does_it(site: Site) -> None:
    """No record of a deletion is left but that of the last one; a public id follows from the image."""
    (_, one, path), (_, other, _) = site.store("schema", 2)
    assert dicom.look(path).public_id == one
    uuid = path.name
    site.ask("DELETE", f"/instances/{one}")
    assert not path.exists()
    assert site.index().deleted() == [uuid]
    changes = site.ask("GET", "/changes?limit=1000")
    assert one not in json.dumps(changes)
    site.ask("DELETE", f"/instances/{other}")
    assert uuid not in site.index().deleted()


def test_a_new_image_is_in_the_manifest_at_once_with_the_digest_of_its_bytes(site: Site) -> None:
    before = site.store("ingest-before", 1)
    follower = site.follower()
    follow(follower)
    after = site.store("ingest", 5)
    follow(follower)
    for stored, ingest in ((before, False), (after, True)):
        for _, _, path in stored:
            entry, gone = site.manifest.of(path.name)
            assert entry is not None
            assert gone is None
            assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
            assert entry.ingest is ingest
    assert site.manifest.problems([]) == []


def test_an_image_that_is_damaged_before_it_was_hashed_never_becomes_the_truth(site: Site) -> None:
    follower = site.follower()
    follow(follower)
    ((_, _, path),) = site.store("damaged-at-once", 1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    follow(follower)
    assert site.manifest.of(path.name)[0] is None
    assert [m.finding.kind for m in site.marks.open()] == ["content"]
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_deletion_is_written_down(site: Site) -> None:
    follower = site.follower()
    follow(follower)
    stored = site.store("deleted", 2)
    follow(follower)
    site.ask("DELETE", f"/instances/{stored[0][1]}")
    follow(follower)
    gone = site.manifest.of(stored[0][2].name)[1]
    assert gone is not None
    assert gone.how == "deleted"
    assert site.manifest.of(stored[1][2].name)[1] is None


def test_a_scrub_finds_all_damage_and_mends_what_has_a_copy(site: Site) -> None:
    stored = site.store("scrub", 4)
    follow(site.follower())
    copies = site.folder / "copies"
    shutil.copytree(site.root, copies)
    (_, good, flipped), (_, _, cut), (_, _, lost), _ = stored
    content = bytearray(flipped.read_bytes())
    content[700] ^= 8
    flipped.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:500])
    lost.unlink()
    progress = site.scrub(copies)
    assert progress.mended == 3
    assert site.marks.open() == []
    assert site.pixels(good) == stored[0][0].digest
    assert len(list((site.root / ".hactl-kept").iterdir())) >= 2


def test_images_whose_rows_were_lost_are_stored_again_once_and_whole(site: Site) -> None:
    """The row is gone, its file is there, and nobody deleted it: the failover of an asynchronous pair."""
    stored = site.store("lost", 6)
    for _, public_id, _ in stored[:4]:
        site.lose_row(public_id)
    again = site.ask("POST", "/instances", images.encoded(stored[0][0]))  # its sender had tried again
    assert again["Status"] == "Success"
    dry = site.reconcile(dry=True)
    assert (dry.fates["lost"], dry.fates["duplicate"], dry.restored) == (3, 1, 0)
    assert all(path.exists() for _, _, path in stored)
    result = site.reconcile()
    assert (result.restored, result.fates["duplicate"], result.failed) == (3, 1, 0), result.items
    assert result.whole
    for image, public_id, _ in stored:
        assert site.pixels(public_id) == image.digest
    count = "SELECT count(*) - count(DISTINCT publicid) FROM resources WHERE resourcetype = 3"
    assert sql(site.pair, count, "orthanc") == "0"
    second = site.reconcile()
    assert (second.restored, sum(second.fates.values())) == (0, 0)


def test_what_was_deleted_on_purpose_stays_deleted(site: Site) -> None:
    """Its file was left behind: Orthanc died between the row and the file."""
    follower = site.follower()
    follow(follower)
    (_, one, path), (_, other, path2) = site.store("on-purpose", 2)
    follow(follower)
    content = path.read_bytes(), path2.read_bytes()
    site.ask("DELETE", f"/instances/{one}")
    follow(follower)  # the follower saw it
    site.ask("DELETE", f"/instances/{other}")  # and this one nobody saw: it was there before the fork
    for target, data in zip((path, path2), content, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    entry = site.manifest.of(path2.name)[0]
    assert entry is not None
    result = site.reconcile()
    assert (result.fates["deleted"], result.restored) == (2, 0), result.items
    reasons = " ".join(item["why"] for item in result.items)
    assert "seen to go" in reasons
    assert "survived every failover" in reasons
    for target in (path, path2):
        target.unlink()


def test_a_row_behind_the_fork_is_lost_not_deleted(site: Site) -> None:
    follower = site.follower()
    follow(follower)
    before = site.index().position()
    ((image, public_id, path),) = site.store("behind-the-fork", 1)
    follow(follower)
    site.lose_row(public_id)
    entry = site.manifest.of(path.name)[0]
    assert entry is not None
    assert entry.seen > before

    class Later(Index):
        """The database on the timeline after the failover."""

    site.forks.found = (Fork(before.timeline - 1, Lsn(1)),)
    assert site.reconcile(dry=True).fates["deleted"] == 1
    moved = site.index().position()
    assert moved.timeline == before.timeline
    result = _on_next_timeline(site, Fork(before.timeline, before.lsn))
    assert result.restored == 1, result.items
    assert site.pixels(public_id) == image.digest


def _on_next_timeline(site: Site, fork: Fork) -> Result:
    """As if the database had failed over at `fork`: only the timeline's number is made up."""
    plain = site.index

    def index() -> Index:
        found = plain()
        position = found.position
        found.position = lambda: type(position())(fork.timeline + 1, position().lsn)  # type: ignore[method-assign]
        return found

    site.forks.found = (fork,)
    site.index = index  # type: ignore[method-assign]
    return site.reconcile()


def test_what_is_no_whole_image_is_left_alone(site: Site) -> None:
    ((_, public_id, path),) = site.store("broken", 1)
    site.lose_row(public_id)
    path.write_bytes(path.read_bytes()[:-100])
    result = site.reconcile()
    assert (result.fates["broken"], result.restored) == (1, 0), result.items
    assert path.exists()
    path.unlink()


def test_another_image_with_the_same_identifiers_is_a_conflict(site: Site) -> None:
    ((_, public_id, path),) = site.store("conflict", 1)
    other = bytearray(path.read_bytes())
    other[-5] ^= 1
    site.lose_row(public_id)
    stranger = path.with_name(path.name[:-4] + "0000")
    path.rename(stranger)
    site.ask("POST", "/instances", bytes(other))
    result = site.reconcile()
    assert (result.fates["conflict"], result.restored) == (1, 0), result.items
    assert stranger.exists()
    stranger.unlink()


def test_a_young_file_gets_its_time(site: Site) -> None:
    """Orthanc writes the file first; the row may wait for the database."""
    ((_, public_id, path),) = site.store("young", 1)
    site.lose_row(public_id)
    began = time.monotonic()  # before it is young: a slow machine's pause counts as waiting
    path.touch()
    result = site.reconcile(grace=4.0)
    assert result.restored == 1
    assert time.monotonic() - began > 3.9


def test_a_row_without_a_file_is_reported_with_its_reason(site: Site) -> None:
    follower = site.follower()
    follow(follower)
    stored = site.store("gone", 1)
    follow(follower)
    kept = stored[0][2].read_bytes()
    stored[0][2].unlink()
    result = site.reconcile()
    assert result.missing == 1
    assert [m.finding.kind for m in site.marks.open()] == ["missing"]
    stored[0][2].write_bytes(kept)
