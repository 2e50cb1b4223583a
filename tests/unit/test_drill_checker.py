from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hactl.drill.checker import judge
from hactl.drill.history import Claim, Outcome, Row, Server, Store, Write
from tests.support.drills import DB1, DB2, Forge, failover


def broken(forge: Forge, **tables: list[Row]) -> set[str]:
    return {f.invariant for f in judge(forge.events, tables or forge.tables).findings}


def acked(forge: Forge) -> list[Write]:
    return [e for e in forge.events if isinstance(e, Write) and e.outcome is Outcome.OK]


def test_a_failover_that_went_well_is_clean() -> None:
    forge = failover()
    verdict = judge(forge.events, forge.tables)
    assert verdict.clean, verdict.findings
    assert verdict.counts == {
        "ok": 12, "info": 1, "fail": 1, "looks": 7, "claims": 10, "rows": 13, "images": 0, "reads": 0,
        "inside": 0,
    }  # fmt: skip


def test_i1_two_servers_acknowledge_in_turn() -> None:
    forge = failover()
    forge.write(DB1)
    assert "I1" in broken(forge)


def test_i1_a_single_acknowledgement_inside_the_span_of_another_server() -> None:
    forge = failover()
    late = acked(forge)[-2]
    forge.swap(late, server=Server("db9", "7000", 2, "09:59"))
    assert "I1" in broken(forge)


def test_i1_is_exact_about_answers_that_only_arrived_late() -> None:
    forge = failover()
    last_of_db1 = [w for w in acked(forge) if w.server == DB1][-1]
    forge.swap(last_of_db1, end=forge.now)  # COMMIT was sent long before: it can have happened in time
    assert "I1" not in broken(forge)


def test_i1_a_primary_that_stays_writable_where_clients_can_reach_it() -> None:
    forge = failover()
    forge.look(db1=("database",), db2=("database",))
    forge.ask(db1=DB1, db2=False)
    (found,) = (f for f in judge(forge.events, forge.tables).findings if f.invariant == "I1")
    assert found.invariant == "I1"
    assert found.sentence.startswith("db1 (timeline 1, started 10:00) and db2 (timeline 2, started 10:01)")
    assert "db1 said it is writable" in found.evidence[1]


@pytest.mark.parametrize("held", [None, ()], ids=["cut off", "without the VIP"])
def test_i1_what_no_client_can_reach_is_a_remark(held: tuple[str, ...] | None) -> None:
    forge = failover()
    forge.look(db1=held, db2=("database",))
    forge.ask(db1=DB1, db2=False)
    verdict = judge(forge.events, forge.tables)
    assert verdict.clean
    assert [r.invariant for r in verdict.remarks] == ["I1"]


def test_i1_two_nodes_say_they_are_writable_and_nobody_writes() -> None:
    forge = failover()
    forge.ask(db2=replace(DB2, started="10:08"))
    forge.now += 0.25
    forge.ask(db1=Server("db1", "7000", 3, "10:09"))
    assert broken(forge) == set()
    forge.now += 0.25
    forge.ask(db2=replace(DB2, started="10:08"))
    assert broken(forge) == {"I1"}


def test_i1_answers_of_one_moment_do_not_prove_two_writable_nodes() -> None:
    forge = failover()
    forge.ask(db1=Server("db1", "7000", 3, "10:09"), db2=DB2)  # it moved while both were asked
    assert broken(forge) == set()


def test_i1_an_instance_that_forgot_its_name_for_a_moment_is_still_the_same() -> None:
    forge = failover()
    forge.write(replace(DB2, node="demo"))
    forge.write(DB2)
    assert broken(forge) == set()


def test_i1_a_node_that_was_never_heard() -> None:
    forge = failover()
    forge.events = [e for e in forge.events if not (isinstance(e, Claim) and e.node == "db1" and e.server)]
    findings = judge(forge.events, forge.tables).findings
    assert [str(f) for f in findings] == ["I1: db1 was never heard whether it is writable"]


def test_i1_an_acknowledgement_by_nobody() -> None:
    forge = failover()
    forge.swap(acked(forge)[0], server=None)
    assert "I1" in broken(forge)


def test_i2_two_nodes_carry_the_vip_in_two_looks() -> None:
    forge = failover()
    for _ in range(2):
        forge.look(db1=("database",), db2=("database",))
    found = [f for f in judge(forge.events, forge.tables).findings if f.invariant == "I2"]
    assert len(found) == 1
    assert "db1 and db2" in found[0].sentence


def test_i2_one_look_during_which_the_vip_moved_is_no_proof() -> None:
    forge = failover()
    forge.look(db1=("database",), db2=("database",))
    forge.look(db1=("database",), db2=())
    assert "I2" not in broken(forge)


def test_i2_a_node_that_clients_cannot_reach_does_not_count() -> None:
    forge = failover()
    for _ in range(3):
        forge.look(db1=None, db2=("database",))
    assert broken(forge) == set()


def test_i2_different_vips_on_different_nodes() -> None:
    forge = failover()
    for _ in range(3):
        forge.look(db2=("database",), arc1=("archive",))
    assert broken(forge) == set()


@pytest.mark.parametrize(("seconds", "kept"), [(2.0, True), (4.0, False)])
def test_i2_the_archives_address_has_no_lease_and_may_be_on_two_nodes_for_a_moment(
    seconds: float, *, kept: bool
) -> None:
    forge = failover()
    for _ in range(2):
        forge.look(arc1=("archive",), arc2=("archive",))
        forge.now += seconds
    found = judge(forge.events, forge.tables)
    assert ("I2" not in broken(forge)) is kept
    assert any(r.invariant == "I2" for r in found.remarks) is kept


def test_i2_nobody_looked() -> None:
    forge = failover()
    forge.events = [e for e in forge.events if isinstance(e, Write)]
    assert "I2" in broken(forge)


@pytest.mark.parametrize("node", ["db1", "db2"])
def test_i3_an_acknowledged_row_is_missing_on_one_node(node: str) -> None:
    forge = failover()
    tables = forge.tables
    lost = tables[node].pop(2)
    findings = [f for f in judge(forge.events, tables).findings if f.invariant == "I3"]
    assert node in findings[0].sentence
    assert f"{lost.client} {lost.seq}" in findings[0].evidence[0]


def test_i3_a_row_is_there_twice() -> None:
    forge = failover()
    forge.rows.append(replace(forge.rows[0], id=999))
    assert "I3" in broken(forge)


def test_i3_a_failed_row_is_there() -> None:
    forge = failover()
    forge.write(DB2, Outcome.FAIL, there=True)
    assert "I3" in broken(forge)


def test_i3_a_row_that_nobody_wrote() -> None:
    forge = failover()
    forge.rows.append(Row("w1", 4711, 999))
    assert "I3" in broken(forge)


def test_i3_rows_out_of_order() -> None:
    forge = failover()
    first, second = (i for i, r in list(enumerate(forge.rows))[-4:] if r.client == "w1")  # the last two of w1
    a, b = forge.rows[first], forge.rows[second]
    forge.rows[first], forge.rows[second] = replace(a, id=b.id), replace(b, id=a.id)
    assert broken(forge) == {"I3"}


def test_i3_writes_at_the_same_time_have_no_order() -> None:
    forge = failover()
    one, two = forge.write(DB2, client="probe"), forge.write(DB2, client="probe")
    forge.swap(two, begin=one.begin)
    a, b = forge.rows[-2:]
    forge.rows[-2:] = [replace(a, id=b.id), replace(b, id=a.id)]
    assert broken(forge) == set()


def test_i3_an_unknown_row_may_be_missing() -> None:
    forge = failover()
    forge.write(DB2, Outcome.INFO, there=False)
    assert broken(forge) == set()


def test_i3_nothing_acknowledged_or_no_table_proves_nothing() -> None:
    forge = failover()
    assert {f.invariant for f in judge(forge.events, {}).findings} == {"I3"}
    for write in acked(forge):
        forge.swap(write, outcome=Outcome.INFO)
    assert "I3" in broken(forge)


def test_i3_two_outcomes_for_one_row() -> None:
    forge = failover()
    forge.events.append(replace(acked(forge)[0], outcome=Outcome.INFO))
    assert "I3" in broken(forge)


def test_i4_a_timeline_comes_back() -> None:
    forge = failover()
    forge.write(Server("db1", "7000", 1, "10:05"))
    assert "I4" in broken(forge)


def test_i4_two_nodes_on_one_timeline() -> None:
    forge = failover()
    forge.write(Server("db1", "7000", 2, "10:05"))
    assert broken(forge) == {"I4"}


def test_i4_another_system() -> None:
    forge = failover()
    forge.write(Server("db1", "7001", 3, "10:05"))
    assert broken(forge) == {"I4"}


def test_i4_a_restart_on_the_same_timeline_is_allowed() -> None:
    forge = failover()
    forge.write(replace(DB2, started="10:09"))
    assert broken(forge) == set()


def test_i6_the_outage_is_counted_from_the_fault_to_a_new_connection() -> None:
    forge = failover()
    seen = judge(forge.events, forge.tables).outage
    assert seen is not None
    assert seen.recovery == pytest.approx(20 + 0.1 + 2 * 0.05 + 0.1 + 0.1 + 0.05 + 0.02)
    assert 20 < seen.silence < seen.recovery


def test_i6_a_longer_outage_than_allowed() -> None:
    forge = failover()
    assert {f.invariant for f in judge(forge.events, forge.tables, limit=5).findings} == {"I6"}
    assert judge(forge.events, forge.tables, limit=30).clean


def test_i6_no_new_connection_ever_committed() -> None:
    forge = failover()
    for write in acked(forge):
        if write.client == "probe":
            forge.swap(write, fresh=False)
    assert "I6" in broken(forge)


def test_i6_a_connection_begun_before_the_fault_proves_nothing() -> None:
    forge = Forge()
    forge.write(DB1)
    probe = forge.write(DB1, client="probe")
    forge.look(db1=("database",))
    forge.ask(db1=DB1, db2=False)
    forge.mark("fault", "db1")
    forge.swap(probe, end=forge.now + 1)
    assert broken(forge) == {"I6"}


def test_i7_the_nodes_differ_in_an_unknown_row() -> None:
    forge = failover()
    forge.write(DB2, Outcome.INFO, there=True)
    tables = forge.tables
    tables["db1"].pop()
    assert {f.invariant for f in judge(forge.events, tables).findings} == {"I7"}


def stored(uid: str, digest: str, outcome: Outcome = Outcome.OK) -> Store:
    return Store(uid, digest, 1, 2, outcome)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        pytest.param(None, "were not read back", id="nobody looked"),
        pytest.param({}, "1 acknowledged images cannot be fetched", id="lost"),
        pytest.param({"1.2": "other"}, "other pixels", id="changed"),
    ],
)
def test_i7_images(images: dict[str, str] | None, said: str) -> None:
    forge = failover()
    forge.events.append(stored("1.2", "d"))
    findings = judge(forge.events, forge.tables, images=images).findings
    assert [f.invariant for f in findings] == ["I7"]
    assert said in findings[0].sentence


def test_i7_an_image_of_unknown_outcome_may_be_missing() -> None:
    forge = failover()
    forge.events += [stored("1.2", "d"), stored("1.3", "e", Outcome.INFO)]
    assert judge(forge.events, forge.tables, images={"1.2": "d"}).clean


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ok", "info", "lost-info", "fail", "promote"]),
        st.sampled_from(["w1", "w2", "probe"]),
    ),
    min_size=5,
    max_size=60,
)


def played(steps: list[tuple[str, str]]) -> Forge:
    """Any order of outcomes and promotions that a correct pair can show."""
    forge, server = Forge(), DB1
    forge.write(server)
    for step, client in steps:
        if step == "promote":
            other = "db2" if server.node == "db1" else "db1"
            server = Server(other, server.system, server.timeline + 1, f"after {server.timeline}")
        elif step == "fail":
            forge.write(None, Outcome.FAIL, client=client)
        else:
            outcome = Outcome.OK if step == "ok" else Outcome.INFO
            forge.write(server, outcome, client=client, there=step != "lost-info")
        if len(forge.events) % 3 == 0:
            forge.ask(**{node: server if node == server.node else False for node in ("db1", "db2")})
            forge.now += 0.01
        if len(forge.events) % 4 == 0:
            forge.look(
                db1=("database",) if server.node == "db1" else (),
                db2=("database",) if server.node == "db2" else (),
            )
    forge.look(db1=())
    forge.ask(**{node: server if node == server.node else False for node in ("db1", "db2")})
    return forge


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_any_correct_history_is_clean(steps: list[tuple[str, str]]) -> None:
    forge = played(steps)
    assert broken(forge) == set()


@settings(max_examples=60, deadline=None)
@given(STEPS, st.data())
def test_any_lost_row_is_found(steps: list[tuple[str, str]], data: st.DataObject) -> None:
    forge = played(steps)
    victim = data.draw(st.sampled_from(acked(forge)))
    forge.rows = [r for r in forge.rows if (r.client, r.seq) != (victim.client, victim.seq)]
    assert "I3" in broken(forge)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.data())
def test_any_acknowledgement_by_a_deposed_primary_is_found(
    steps: list[tuple[str, str]], data: st.DataObject
) -> None:
    forge = played([*steps, ("promote", "w1"), ("ok", "w1"), ("ok", "w2")])
    old = data.draw(st.sampled_from([w for w in acked(forge)[:-2] if w.server]))
    forge.write(old.server)
    assert broken(forge) & {"I1", "I4"}
