"""What `journal verify` finds: one forged journal per rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.view.journal import (
    MAX_DATA,
    START,
    Entry,
    Kind,
    Note,
    Record,
    note_text,
    parse_lines,
    parse_record,
    sealed,
    text_of,
)
from hactl.view.journal_check import Fault, Finding, compare, in_hand, verify


def draft(kind: Kind = Kind.EVENT, of: int = 0, ms: int = 0, node: str = "wit1", **data: object) -> Record:
    return Record(
        seq=0, wall="2026-11-22T08:00:00.000+00:00", mono_ms=ms, boot="b1", node=node, actor="controller",
        kind=kind, action="mark" if kind is Kind.EVENT else "release-leader", incident="i-1", epoch=1, of=of,
        data=data,
    )  # fmt: skip


def chain(*drafts: Record, start: int = 1, prev: str = START) -> list[Record]:
    found: list[Record] = []
    for seq, record in enumerate(drafts, start=start):
        found.append(sealed(dataclasses.replace(record, seq=seq, prev=found[-1].hash if found else prev)))
    return found


def whole() -> list[Record]:
    """1 event, 2 intent, 3 its result, 4-5 the same again, 6 event."""
    return chain(
        draft(), draft(Kind.INTENT, ms=10), draft(Kind.RESULT, 2, ms=20, ok=True),
        draft(Kind.INTENT, ms=30), draft(Kind.RESULT, 4, ms=40, ok=True), draft(ms=50),
    )  # fmt: skip


def edit(at: int, **fields: object) -> Callable[[list[Record]], list[Entry]]:
    return lambda r: [*r[: at - 1], dataclasses.replace(r[at - 1], **fields), *r[at:]]  # type: ignore[arg-type]


def reseal(at: int, **fields: object) -> Callable[[list[Record]], list[Entry]]:
    """A forger who knows how the hash is made, but does not rewrite everything after it."""
    return lambda r: [*r[: at - 1], sealed(dataclasses.replace(r[at - 1], **fields)), *r[at:]]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("forge", "faults"),
    [
        pytest.param(lambda r: r, [], id="a journal as it was written"),
        pytest.param(lambda r: r[3:], [], id="its last part, as etcd keeps it"),
        pytest.param(lambda r: r[:0], [], id="no journal yet"),
        pytest.param(edit(3, data={"ok": False}), [(Fault.TAMPERED, 3)], id="a result was changed"),
        pytest.param(edit(1, node="db1"), [(Fault.TAMPERED, 1)], id="who did it was changed"),
        pytest.param(reseal(3, data={"ok": False}), [(Fault.BROKEN, 4)], id="changed, with a new hash"),
        pytest.param(lambda r: [*r[:5], *r[6:]], [], id="the end was cut: only another copy can tell"),
        pytest.param(lambda r: [r[0], *r[3:]], [(Fault.GAP, 4)], id="an act was removed"),
        pytest.param(
            lambda r: [r[0], Note("gap", "", 2, 3), *r[3:]], [(Fault.GAP, 4)], id="a gap stays one when noted"
        ),
        pytest.param(lambda r: [*r[:5], Note("torn", "", last=9), r[5]], [], id="a torn line was healed"),
        pytest.param(
            lambda r: [r[0], r[2], r[1], *r[3:]],
            [(Fault.ORDER, 2), (Fault.GAP, 3), (Fault.GAP, 4)],
            id="two records changed places",
        ),
        pytest.param(lambda r: [*r[:3], r[2], *r[3:]], [(Fault.ORDER, 3)], id="a record stands twice"),
        pytest.param(
            lambda r: [*r[:6], *chain(draft(ms=51, forged=True), start=6, prev=r[4].hash)],
            [(Fault.FORK, 6)],
            id="two records with one number, each with a right hash",
        ),
        pytest.param(
            lambda r: [
                *r[:4],
                *chain(draft(Kind.RESULT, 4, ms=40), draft(ms=99_000), start=5, prev="f" * 64),
            ],
            [(Fault.BROKEN, 5)],
            id="another end was put on",
        ),
        pytest.param(
            lambda r: [*r[:4], *chain(draft(ms=99_000), start=5, prev=r[3].hash)],
            [(Fault.NO_RESULT, 4)],
            id="nobody wrote what became of an act",
        ),
        pytest.param(
            lambda r: [*r[:4], *chain(draft(ms=50, node="db2"), start=5, prev=r[3].hash)],
            [(Fault.NO_RESULT, 4)],
            id="another controller took over and did not close it",
        ),
        pytest.param(
            lambda r: [*r[:4], *chain(draft(ms=50), start=5, prev=r[3].hash)],
            [],
            id="an act that is under way",
        ),
        pytest.param(
            lambda r: [*r, *chain(draft(Kind.RESULT, 6, ok=True), start=7, prev=r[5].hash)],
            [(Fault.NO_INTENT, 7)],
            id="a result that nobody announced",
        ),
    ],
)
def test_verify(forge: Callable[[list[Record]], list[Entry]], faults: list[tuple[Fault, int]]) -> None:
    assert [(f.fault, f.seq) for f in verify(forge(whole()))] == faults


def test_a_gap_says_which_records_and_whether_the_copy_knew() -> None:
    r = whole()
    known: list[Entry] = [r[0], Note("gap", "", 2, 3), *r[3:]]
    assert verify([r[0], *r[3:]])[0].what == "records 2 to 3 are missing"
    assert verify(known)[0].what == "records 2 to 3 are missing; this copy noted that it was away"
    assert verify([*r[:4], r[5]])[0].what == "record 5 is missing"


def test_two_copies_differ() -> None:
    r = whole()
    other = chain(draft(), start=6, prev=r[4].hash)
    assert compare(r, r[2:]) == ()
    assert [(f.fault, f.seq) for f in compare(r, [*r[:5], *other])] == [(Fault.FORK, 6)]


def test_lines_are_read_one_by_one() -> None:
    r = whole()
    lines = [text_of(r[0]), "{", note_text(Note("gap", "t", 2, 3)), "", text_of(r[1])[:-9], '{"seq":1}', "7"]
    entries = parse_lines(lines)
    assert entries[0] == r[0]
    assert entries[2] == Note("gap", "t", 2, 3)
    assert [f.fault for f in verify(entries)] == [Fault.UNREADABLE] * 4
    assert verify(entries)[0] == Finding(Fault.UNREADABLE, 0, "line 2: line: not JSON")


def test_intents_in_hand() -> None:
    assert [i.seq for i in in_hand(whole()[:4])] == [4]


def test_what_nobody_could_read_is_left_out() -> None:
    record = sealed(draft(text="x" * MAX_DATA))
    assert record.data == {"left_out": f"{MAX_DATA + 11} characters"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), _JSON, max_size=4))
def test_a_record_reads_back_as_what_was_sealed(data: dict[str, object]) -> None:
    record = sealed(dataclasses.replace(draft(), seq=1, data=data))
    again = parse_record(text_of(record))
    assert again == record
    assert verify([again]) == ()
