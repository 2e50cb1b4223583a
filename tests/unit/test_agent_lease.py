"""The fencing lease, decided. Times are seconds since boot; the lease is 3 s long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.agent.lease import Answer, Now, Primary, Stand, after_thaw, at_start, decide, thawed, whole_seconds

L = 3.0
NOW = Now(100.1, 50.1)
SENT = 100.0
LEADS = Answer(SENT, leads=True, leader="db1")
OTHER = Answer(SENT, leads=False, leader="db2")
NOBODY = Answer(SENT, leads=False)
FENCED = Answer(SENT, leads=False, leader="db1", fenced=True)
LATE = Answer(NOW.boot - L, leads=True, leader="db1")

NOTHING = Stand(None, False, 0.0, "")
HOLDS = Stand(102.4, True, 102.4, "leads")
LEASE_ONLY = Stand(102.4, False, 102.4, "")
ENDED = Stand(100.0, True, 100.0, "leads")
YES, NO, SILENT = Primary.YES, Primary.NO, Primary.SILENT


@pytest.mark.parametrize(
    ("answer", "primary", "before", "until", "vip"),
    [
        pytest.param(LEADS, YES, NOTHING, 103.0, True, id="a leader whose PostgreSQL is primary serves"),
        pytest.param(
            LEADS, NO, NOTHING, 103.0, False, id="a leader that is being promoted has the lease only"
        ),
        pytest.param(LEADS, NO, HOLDS, 103.0, False, id="Patroni's clear no takes the VIP at once"),
        pytest.param(LEADS, SILENT, HOLDS, 103.0, True, id="a silent Patroni leaves the VIP where it is"),
        pytest.param(LEADS, SILENT, LEASE_ONLY, 103.0, False, id="a silent Patroni grants nothing"),
        pytest.param(LEADS, SILENT, NOTHING, 103.0, False, id="a silent Patroni grants a newcomer nothing"),
        pytest.param(OTHER, YES, HOLDS, None, False, id="who does not lead any more serves nothing"),
        pytest.param(NOBODY, YES, HOLDS, None, False, id="without a leader nobody serves"),
        pytest.param(FENCED, YES, HOLDS, None, False, id="a fence intent ends it, whoever leads"),
        pytest.param(LATE, YES, NOTHING, None, False, id="an answer older than a lease makes none"),
        pytest.param(None, YES, HOLDS, 102.4, True, id="silence of etcd lets the lease run on"),
        pytest.param(None, SILENT, HOLDS, 102.4, True, id="silence of both lets the lease run on"),
        pytest.param(None, NO, HOLDS, 102.4, False, id="Patroni's no counts without etcd"),
        pytest.param(None, YES, LEASE_ONLY, 102.4, False, id="without etcd nobody gets the VIP"),
        pytest.param(None, YES, ENDED, None, False, id="silence of etcd ends with the lease"),
        pytest.param(None, YES, NOTHING, None, False, id="silence grants nothing"),
    ],
)
def test_what_holds_after_a_round(
    answer: Answer | None, primary: Primary, before: Stand, until: float | None, *, vip: bool
) -> None:
    found = decide("db1", answer, primary, before, NOW, L)
    assert (found.until, found.vip) == (until, vip), found.why
    assert found.why or found is before


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        pytest.param(LEADS, 103.0, id="the check believes a holder as long as its lease"),
        pytest.param(
            OTHER, 103.0, id="a standby's no has the same age, so that it is believed when it leads"
        ),
        pytest.param(FENCED, 103.0, id="a fenced node's no too"),
        pytest.param(None, 102.4, id="silence makes no word younger"),
    ],
)
def test_how_long_the_track_file_is_believed(answer: Answer | None, word: float) -> None:
    assert decide("db1", answer, YES, HOLDS, NOW, L).word == word


@given(
    answers=st.lists(
        st.tuples(
            st.floats(0, 1.5),  # the answer took
            st.sampled_from(["leads", "other", "fenced", "silent"]),
            st.sampled_from(list(Primary)),
            st.floats(0, 1.0),  # the pause before the next round
        ),
        max_size=20,
    )
)
def test_nothing_outlives_the_last_transaction_that_allowed_it(
    answers: list[tuple[float, str, Primary, float]],
) -> None:
    now, stand, allowed = 10.0, NOTHING, -100.0
    for took, kind, primary, pause in answers:
        sent, now = now, now + took
        if kind == "leads":
            allowed = sent
        answer = {
            "leads": Answer(sent, leads=True, leader="db1"),
            "other": Answer(sent, leads=False, leader="db2"),
            "fenced": Answer(sent, leads=False, leader="db1", fenced=True),
        }.get(kind)
        stand = decide("db1", answer, primary, stand, Now(now, now), L)
        if kind in {"other", "fenced"}:
            assert stand.until is None
            assert not stand.vip
        if stand.until is not None:
            assert now < stand.until <= allowed + L
        if stand.vip:
            assert stand.until is not None
        now += pause


@pytest.mark.parametrize(
    ("later", "planned", "asleep"),
    [
        pytest.param(Now(100.6, 50.6), 0.5, False, id="half a second as planned"),
        pytest.param(Now(101.4, 51.4), 0.5, False, id="a busy machine is late"),
        pytest.param(Now(101.8, 51.8), 0.5, True, id="not run for more than a second"),
        pytest.param(Now(130.0, 50.6), 0.5, True, id="the machine was suspended"),
        pytest.param(Now(101.0, 51.0), 0.9, False, id="etcd took long, as it may"),
    ],
)
def test_what_counts_as_asleep(later: Now, planned: float, *, asleep: bool) -> None:
    assert (thawed(NOW, later, planned) is not None) is asleep


@pytest.mark.parametrize(
    ("later", "until", "trusted"),
    [
        pytest.param(Now(102.0, 52.0), 102.1, True, id="a busy machine, and the lease still runs"),
        pytest.param(Now(102.0, 52.0), 102.0, False, id="the lease has just ended"),
        pytest.param(Now(102.0, 52.0), None, False, id="there is none"),
        pytest.param(Now(101.0, 50.2), 102.1, False, id="the machine slept: the kernel's timers did too"),
    ],
)
def test_while_its_lease_runs_a_late_process_has_missed_nothing(
    later: Now, until: float | None, *, trusted: bool
) -> None:
    assert (thawed(Now(100.0, 50.0), later, 0.5, until) is None) is trusted


def test_after_a_sleep_nothing_holds() -> None:
    found = after_thaw(HOLDS, "slept")
    assert (found.until, found.vip) == (None, False)


def test_going_leased_is_no_outage_for_the_holder_and_nothing_for_others() -> None:
    took_over = at_start(NOW, opened=True, track=True, word=0.0, length=L)
    assert (took_over.vip, took_over.word) == (True, NOW.boot + L)
    assert decide("db1", None, SILENT, took_over, NOW, L).vip
    assert not decide("db1", None, SILENT, took_over, Now(104.0, 54.0), L).vip
    assert not at_start(NOW, opened=False, track=True, word=0.0, length=L).vip


def test_a_restart_within_the_lease_goes_on() -> None:
    assert at_start(NOW, opened=False, track=True, word=102.0, length=L).vip
    assert not at_start(NOW, opened=False, track=True, word=100.0, length=L).vip
    assert not at_start(NOW, opened=False, track=False, word=102.0, length=L).vip


@pytest.mark.parametrize(("left", "seconds"), [(2.4, 3), (2.0, 2), (0.1, 1), (-1.0, 1)])
def test_an_address_lives_whole_seconds(left: float, seconds: int) -> None:
    assert whole_seconds(left) == seconds
