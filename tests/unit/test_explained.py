"""--explain: what would be done, all that was asked and what was answered; and nothing is touched."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from hactl.decide.asked import ASKED, QUESTIONS, Said, asked
from hactl.decide.plan import Veto
from hactl.spec.model import Role
from tests.support.seat import COMMANDS, Command, Seat

Out = pytest.CaptureFixture[str]
DECIDE = Path(__file__).resolve().parents[2] / "hactl" / "decide"
Function = tuple[str, str]

# Where the vetoes of a command are made -> its list of questions, without what is left out on purpose there.
MADE = {
    "stop": (("node_stop", "may_stop"), {"HOLDS_VIP"}),  # its drain gives the address away
    "start": (("node_stop", "may_start"), {"PAUSED", "INCIDENT_OPEN"}),  # starting what runs does no harm
    "maintenance-on": (("node_stop", "may_maintain"), set()),
    "maintenance-off": (("node_stop", "may_end"), set()),
    "rejoin": (("node_recovery", "may_rejoin"), set()),
    "reinit": (("node_recovery", "may_reinit"), set()),
    "fence": (("node_fence", "may_fence"), set()),
    "unfence": (("node_fence", "may_unfence"), set()),
    "drain": (("maintenance", "may_drain"), set()),
    "etcd mend": (("etcd_care", "mending"), set()),
    "drill": (("drill", "may_drill"), set()),
}
# Made where the servers are asked, in hactl/cli.
ASKED_OF_SERVERS = {"TRANSACTIONS_UNKNOWN"}


class Vetoes:
    """Which codes the functions of hactl/decide may answer with, by what they call."""

    def __init__(self) -> None:
        self.codes: dict[Function, set[str]] = {}
        self.calls: dict[Function, set[Function]] = {}
        for path in DECIDE.glob("*.py"):
            self._read(path.stem, ast.parse(path.read_text()))

    def _read(self, module: str, tree: ast.Module) -> None:
        known: dict[str, Function] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hactl.decide"):
                of = (node.module or "").rpartition(".")[2]
                known |= {a.asname or a.name: (of, a.name) for a in node.names}
        for function in tree.body:
            if isinstance(function, ast.FunctionDef):
                self._function((module, function.name), function, known)

    def _function(self, name: Function, tree: ast.FunctionDef, known: dict[str, Function]) -> None:
        codes, calls = self.codes.setdefault(name, set()), self.calls.setdefault(name, set())
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="Veto"), args=[ast.Constant(value=str(code)), *_]):
                    codes.add(code)
                case ast.Attribute(value=ast.Name(id=of), attr=attr) if of in known:
                    calls.add((known[of][1], attr))
                case ast.Name(id=word):
                    calls.add(known.get(word, (name[0], word)))

    def reach(self, name: Function) -> set[str]:
        found, seen, left = set[str](), set[Function](), [name]
        while left:
            one = left.pop()
            if one not in seen and one in self.codes:
                seen.add(one)
                found |= self.codes[one]
                left += self.calls[one]
        return found


VETOES = Vetoes()


@pytest.mark.parametrize("action", MADE)
def test_every_veto_that_can_come_is_asked_for_by_name(action: str) -> None:
    made, without = MADE[action]
    assert set(ASKED[action]) | {"ETCD_UNKNOWN"} == VETOES.reach(made) - without | {"ETCD_UNKNOWN"}


def test_a_switchover_and_a_restart_too() -> None:
    switch = VETOES.reach(("switchover", "may_switch")) | VETOES.reach(("switchover", "long_transactions"))
    assert set(ASKED["switchover"]) - ASKED_OF_SERVERS | {"ETCD_UNKNOWN"} == switch
    kinds = ("RestartPostgres", "SwitchOver", "RestartArchive", "RestartEtcd", "RestartUnit")
    options = ("restart-all", "restart-etcd", "restart-pending")
    listed = {code for kind in (*kinds, *options) for code in ASKED[kind]} | {"ETCD_UNKNOWN"}
    assert listed == VETOES.reach(("restart", "of_node")) | VETOES.reach(("restart", "of_all"))


def test_every_question_is_asked_somewhere() -> None:
    assert set(QUESTIONS) == {c for codes in ASKED.values() for c in codes} | {"ETCD_UNKNOWN"}


def said(*vetoes: Veto, action: str = "stop", role: Role = Role.DATABASE, **idle: str) -> dict[str, Said]:
    return {a.code: a.said for a in asked([action], "db2", [role], vetoes, idle)}


def test_what_is_not_of_the_role_is_not_listed() -> None:
    assert "NO_OTHER_ARCHIVE" not in said()
    assert "IS_PRIMARY" not in said(role=Role.ARCHIVE)


def test_without_a_look_nothing_was_asked() -> None:
    answers = said(Veto("ETCD_UNKNOWN", "etcd gives no answer"))
    assert answers.pop("ETCD_UNKNOWN") is Said.VETO
    assert set(answers.values()) == {Said.NOT_ASKED}


def test_what_a_veto_or_an_option_makes_idle_is_no_good_answer() -> None:
    assert said(Veto("PRIMARY_UNKNOWN", "?"))["IS_PRIMARY"] is Said.NOT_ASKED
    assert said(action="fence", IS_PRIMARY="--force")["IS_PRIMARY"] is Said.NOT_ASKED


def test_several_reasons_of_one_code_are_all_said() -> None:
    found = asked(
        ["stop"],
        "db2",
        [Role.DATABASE],
        [Veto("OTHER_IN_MAINTENANCE", "a"), Veto("OTHER_IN_MAINTENANCE", "b")],
    )
    assert next(a.why for a in found if a.code == "OTHER_IN_MAINTENANCE") == "a; b"


def test_a_veto_that_nobody_listed_is_said_all_the_same() -> None:
    assert said(Veto("NEW", "something else"))["NEW"] is Said.VETO


@pytest.fixture
def seat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Seat:
    return Seat(monkeypatch, tmp_path)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_each_command_explains_itself_and_touches_nothing(seat: Seat, command: Command, capsys: Out) -> None:
    seat.ready(command)
    before, file, records = seat.state(), seat.site.source.read_text(), seat.journal()
    capsys.readouterr()
    assert seat.call(*command.words, "--explain") == 0
    text = capsys.readouterr().out
    assert text.startswith("what would be done:\n  1. ")
    assert "+ ETCD_UNKNOWN: does a majority of etcd answer? no veto" in text
    assert text.endswith("nothing was touched\n")
    assert seat.call(*command.words, "--explain", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["would"], len(told["steps"]) > 2) == (False, True, True)
    assert {a["said"] for a in told["asked"]} <= {"no veto", "not asked"}
    assert (seat.state(), seat.site.source.read_text(), seat.journal()) == (before, file, records)
    assert (seat.told, seat.etcd.value("/hactl/demo/operation")) == ([], None)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_each_command_does_it_too(seat: Seat, command: Command) -> None:
    """So that the tests that stand on this seat are about commands that would have done something."""
    seat.ready(command)
    before, records = seat.state(), len(seat.journal())
    assert seat.call(*command.words) == 0
    assert len(seat.journal()) > records
    assert seat.told or seat.state() != before
    assert seat.etcd.value("/hactl/demo/operation") is None


@pytest.mark.parametrize("words", [("pause",), ("mute", "STANDBY_LOST")])
def test_what_needs_a_reason_is_explained_without_one(seat: Seat, words: tuple[str, ...]) -> None:
    assert seat.call(*words, "--explain") == 0
    assert seat.call(*words, "--yes") == 2


def test_where_nothing_would_be_done_no_step_is_told(seat: Seat, capsys: Out) -> None:
    assert seat.call("resume", "--explain") == 0
    assert "what would be done:\n  nothing\n" in capsys.readouterr().out


def test_a_refusal_is_explained_with_every_answer(seat: Seat, capsys: Out) -> None:
    assert seat.call("node", "stop", "db1", "--explain") == 0
    text = capsys.readouterr().out
    assert text.startswith("db1 is not stopped now; if it were:")
    assert "  - IS_PRIMARY: is db1 the primary? veto: db1 is the primary" in text
    assert "  + INCIDENT_OPEN: is a failover under way, or not over yet? no veto" in text
