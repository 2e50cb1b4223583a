from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from hactl.adapters import tls_evidence
from hactl.adapters.journal_file import JournalFile
from hactl.adapters.tls_talk import TITLED, Titles, talk
from hactl.decide import tls
from hactl.decide.health import judge as health
from hactl.decide.preconditions import examine
from hactl.decide.tls import Expected, Verdict
from hactl.decide.tls_evidence import Before, Run, before, entries, record, summary
from hactl.errors import LockHeld
from hactl.metrics.samples_control import samples
from hactl.metrics.seen import Seen as MetricsSeen
from hactl.render.patroni import dynamic
from hactl.view.journal import records
from hactl.view.journal_check import verify
from hactl.view.parse.tls import MOST, parse_tls_check, tls_check_text
from hactl.view.tls import Endpoint, Offer, Outcome, Seen, Speaks, TlsCheck
from tests.support.views import after, demo_spec, look

SPEC = demo_spec()
WEB = Endpoint("arc1", Speaks.ARCHIVE, "192.0.2.21", 443)
S, R, U = Outcome.SERVED, Outcome.REFUSED, Outcome.UNKNOWN


def seen(**differ: Outcome) -> list[Seen]:
    """As it should be, but for what `differ` says (`tls1_0=...`)."""
    found = {o: S if o in tls.GOOD else R for o in tls.OFFERS}
    found |= {Offer(name.replace("_", ".") if "tls" in name else name): to for name, to in differ.items()}
    return [Seen(o, to) for o, to in found.items()]


def rows(endpoint: Endpoint = WEB, **differ: Outcome) -> list[tls.Row]:
    return list(tls.judge(endpoint, seen(**differ)))


@pytest.mark.parametrize(
    ("differ", "wanted"),
    [
        ({}, Verdict.OK),
        ({"plain": S}, Verdict.WEAK),
        ({"tls1_0": S}, Verdict.WEAK),
        ({"expired": S, "tls1_3": U}, Verdict.WEAK),
        ({"tls1_0": U}, Verdict.UNPROVEN),
        ({"tls1_2": R}, Verdict.UNPROVEN),
        ({"tls1_2": U}, Verdict.UNPROVEN),
        ({"tls1_2": R, "tls1_3": R}, Verdict.UNPROVEN),
        ({"tls1_2": U, "tls1_3": U, "plain": S}, Verdict.WEAK),
    ],
)
def test_the_worst_offer_is_the_verdict(differ: dict[str, Outcome], wanted: Verdict) -> None:
    assert tls.of_endpoint(rows(**differ)) is wanted


def test_refusals_of_a_server_that_serves_nobody_prove_nothing() -> None:
    assert {r.verdict for r in rows(tls1_2=R, tls1_3=R)} == {Verdict.UNPROVEN}


def test_every_offer_has_an_expectation_on_every_port() -> None:
    either = [(s, o) for s in Speaks for o in tls.offers(s) if tls.expected(s, o) is Expected.EITHER]
    assert either == [(Speaks.POSTGRES, Offer.NO_CERTIFICATE)]
    served = {o for s in Speaks for o in tls.offers(s) if tls.expected(s, o) is Expected.SERVED}
    assert served == set(tls.GOOD)
    assert set(tls.offers(Speaks.DICOM)) == set(Offer)


def test_the_ports_of_the_demo() -> None:
    inside = {str(e) for e in tls.endpoints(SPEC, inside=True)}
    outside = {str(e) for e in tls.endpoints(SPEC, inside=False)}
    assert {"archive-vip dicom", "archive-vip https", "arc2 dicom", "database-vip postgres"} <= outside
    assert inside - outside == {
        "db1 postgres", "db2 postgres", "db1 etcd-peer", "db2 etcd-peer", "wit1 etcd-peer",
    }  # fmt: skip


def means(speaks: Speaks, offer: Offer, answer: bytes) -> Outcome:
    spoken = talk(speaks, offer, Titles("PACS", "HACTL"), "192.0.2.21")
    assert spoken.enough(answer)
    return spoken.means(answer)[0]


def rejected(source: int, reason: int) -> bytes:
    return bytes([3, 0, 0, 0, 0, 4, 0, 1, source, reason])


@pytest.mark.parametrize(
    ("speaks", "offer", "answer", "wanted"),
    [
        (Speaks.ARCHIVE, Offer.TLS_1_3, b"HTTP/1.1 200 OK\r\n", S),
        (Speaks.ARCHIVE, Offer.NO_CERTIFICATE, b"HTTP/1.1 401 Unauthorized\r\n", R),
        (Speaks.ARCHIVE, Offer.FOREIGN_CA, b"HTTP/1.1 400 Bad Request\r\n", R),
        (Speaks.ARCHIVE, Offer.NO_CERTIFICATE, b"HTTP/1.1 502 Bad Gateway\r\n", U),
        (Speaks.PATRONI, Offer.TLS_1_2, b"HTTP/1.0 503 Service Unavailable\r\n", S),
        (Speaks.ETCD, Offer.PLAIN, b"HTTP/1.0 400 Bad Request\r\n", R),
        (Speaks.METRICS, Offer.PLAIN, b"\x15\x03\x01\x00\x02\x02\x28\r\n", R),
        (Speaks.POSTGRES, Offer.TLS_1_2, b"R\0\0\0\x17\0\0\0\nSCRAM", S),
        (Speaks.POSTGRES, Offer.PLAIN, b"E\0\0\0\x40SFATAL\0C28000\0Mno entry, no encryption\0\0", R),
        (Speaks.DICOM, Offer.TLS_1_2, b"\x02" + bytes(9), S),
        (Speaks.DICOM, Offer.TLS_1_0, rejected(1, 3), S),
        (Speaks.DICOM, Offer.PLAIN, b"\x07" + bytes(9), R),
        (Speaks.DICOM, Offer.WRONG_CALLED, rejected(1, 7), R),
        (Speaks.DICOM, Offer.WRONG_CALLED, rejected(1, 3), U),
        (Speaks.DICOM, Offer.WRONG_CALLING, rejected(1, 3), R),
        (Speaks.DICOM, Offer.WRONG_CALLING, b"\x02" + bytes(9), S),
        (Speaks.DICOM, Offer.WRONG_CALLING, b"\x07" + bytes(9), U),
    ],
)
def test_what_an_answer_means(speaks: Speaks, offer: Offer, answer: bytes, wanted: Outcome) -> None:
    assert means(speaks, offer, answer) is wanted


@pytest.mark.parametrize("speaks", list(Speaks))
def test_no_answer_makes_it_fail(speaks: Speaks) -> None:
    for offer in tls.offers(speaks):
        spoken = talk(speaks, offer, Titles("PACS", "HACTL"), "h")
        for answer in (b"x", b"E", b"HTTP/1.1", b"\x03\0", bytes(40), b"E" + bytes(30), b"HTTP/1.1 abc\r\n"):
            spoken.enough(answer)
            outcome, _ = spoken.means(answer)
            assert outcome is not S or offer not in TITLED


# Evidence


def run(at: float = 1000.0, node: str = "wit1") -> Run:
    return Run(at, "2026-11-22T12:00:00.000+00:00", node, 1.5, "0.1.0", "OpenSSL 3", {"tls1.0": True})


def kept(path: Path, found: list[tls.Row], at: float) -> TlsCheck:
    head, old = tls_evidence.append(
        path,
        lambda old: entries(found, run(at), before(old)),
        lambda *words: record(*words[:3], run(at), words[3]),
    )
    return dataclasses.replace(summary(found, run(at), before(old)), seq=head.seq, hash=head.hash)


def test_checks_are_chained_and_a_change_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "tls" / "evidence.jsonl"
    kept(path, rows(), 1000)
    last = kept(path, rows(tls1_0=S), 2000)
    found = JournalFile(path).entries()
    assert verify(found) == ()
    assert (records(found)[-1].seq, records(found)[-1].hash) == (last.seq, last.hash) == (4, last.hash)
    path.write_text(path.read_text().replace('"verdict":"weak"', '"verdict":"ok"'))
    assert verify(JournalFile(path).entries()) != ()


def test_since_when_a_port_is_not_proven_is_carried_on(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"
    found = [kept(path, rows(tls1_0=outcome), at) for at, outcome in ((1, R), (2, U), (3, U), (4, R), (5, U))]
    assert [f.oldest for f in found] == [1, 2, 2, 4, 5]
    assert [f.unproven_count for f in found] == [0, 1, 1, 0, 1]


def test_two_writers_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "evidence.jsonl"

    def meanwhile(_: object) -> Any:
        kept(path, rows(), 2)
        yield "never", {}

    with pytest.raises(LockHeld):
        tls_evidence.append(path, meanwhile, lambda *words: record(*words[:3], run(), words[3]))


def test_no_record_is_larger_than_a_journal_takes() -> None:
    many = [r for n in range(900) for r in rows(dataclasses.replace(WEB, name=f"archive-node-{n}"), tls1_0=U)]
    for _, data in entries(many, run(), Before({})):
        assert len(json.dumps(data)) < 64 * 1024


def test_etcds_key_reads_back_and_stays_small() -> None:
    many = [r for n in range(900) for r in rows(dataclasses.replace(WEB, name=f"a{n}"), tls1_0=S)]
    found = summary(many, run(), Before({}))
    text = tls_check_text(found)
    assert len(text) < 1500
    assert parse_tls_check(text) == dataclasses.replace(found, weak=found.weak[:MOST])
    assert parse_tls_check(text).weak_count == 900


@pytest.mark.parametrize("value", ["", "[]", "{}", '{"at": "x"}', '{"at": true, "oldest": 1, "node": "w"}'])
def test_what_is_no_such_key(value: str) -> None:
    with pytest.raises(ValueError, match="tls-check"):
        parse_tls_check(value)


# Health and metrics

NOW = 1_800_000_000.0
GOOD = TlsCheck(NOW - 3600, "wit1", 20, oldest=NOW - 3600)
WEAK = dataclasses.replace(GOOD, weak=("arc1 dicom: serves tls1.0",), weak_count=1)


@pytest.mark.parametrize(
    ("check", "wanted"),
    [
        (GOOD, set()),
        (WEAK, {("TLS_WEAK", "arc1")}),
        (dataclasses.replace(GOOD, at=NOW - 60 * 3600), {("TLS_CHECK_OVERDUE", "")}),
        (
            dataclasses.replace(GOOD, oldest=NOW - 60 * 3600, unproven=("arc2 https: x",)),
            {("TLS_CHECK_OVERDUE", "")},
        ),
        (dataclasses.replace(GOOD, oldest=NOW - 40 * 3600), set()),
        (None, set()),
    ],
)
def test_findings(check: TlsCheck | None, wanted: set[tuple[str, str]]) -> None:
    view = after(lambda v: dataclasses.replace(v, control=look(tls_check=check)))
    assert {(f.code.name, f.subject) for f in health(SPEC, view).findings} == wanted


def test_the_doctor_tells_that_nobody_has_checked_yet() -> None:
    view = after(lambda v: dataclasses.replace(v, control=look(tls_check=None)))
    found = examine(SPEC, view, dynamic(SPEC)).findings
    assert {f.code.name for f in found} == {"TLS_NOT_CHECKED", "BACKUP_UNKNOWN"}


def test_metrics() -> None:
    base = MetricsSeen(active=True, look_age=0.1, dcs=look(tls_check=WEAK), view=None, heartbeat=None)
    found = {(name, *labels): value for name, labels, value in samples(SPEC, base)}
    assert found["hactl_tls_check_timestamp_seconds",] == GOOD.at
    assert found["hactl_tls_check_endpoints", "weak"] == 1
    assert found["hactl_tls_check_endpoints", "ok"] == 19
