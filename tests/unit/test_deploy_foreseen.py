"""What `hactl deploy --explain` says would be restarted, from a run that wrote nothing."""

from __future__ import annotations

import re

import pytest
import yaml

from hactl import layout, resources
from hactl.deploy import foreseen
from hactl.deploy.events import Change, Journal
from hactl.deploy.inventory import Facts
from hactl.render import control, orthanc
from tests.support.rendered import rendered, sample

SPEC, FILES = sample(), rendered()
FACTS = Facts(fresh=False, primary="db1")


def steps(*changes: Change, facts: Facts = FACTS) -> list[str]:
    return list(foreseen.steps(SPEC, facts, FILES, changes))


def path_of(unit: str, node: str, action: str) -> str:
    return next(f.path for f in FILES if (f.node, f.unit, f.on_change) == (node, unit, action))


def test_nothing_changes_nothing_is_done() -> None:
    assert steps() == []


def test_a_file_s_unit_is_restarted_with_what_clients_notice() -> None:
    path = path_of(orthanc.UNIT, "arc1", "restart")
    said = steps(Change("arc2", "Files", (path,)), Change("arc1", "Files", (path,)))
    assert said[0].endswith("files on: arc1 (1), arc2 (1)")
    assert said[1].startswith("restart Orthanc: arc1, arc2; one node at a time, drained before")
    assert len(said) == 2


def test_the_primary_comes_last_and_what_it_costs_is_said() -> None:
    path = str(layout.PATRONI_VENV)
    said = steps(*(Change(n, "Environments", (path,)) for n in ("db1", "db2")))
    assert said[1].startswith(
        "restart Patroni and PostgreSQL: db2, db1; never two at once; the primary gives"
    )


def test_the_order_is_the_playbook_s() -> None:
    plays = (resources.folder("ansible") / "site.yml").read_text()
    order = list(re.findall(r"plays/(\w+)[.]yml", plays))
    role_of = {"postgres": "patroni", "agent": "hactl-agent", "integrity": "hactl-manifest",
               "prometheus": "prometheus", "controller": "hactl-controller"}  # fmt: skip
    units = [unit.removesuffix(".service") for unit in foreseen.UNITS if "alertmanager" not in unit]
    assert units == [role_of.get(play, play) for play in order]


def test_a_new_hactl_restarts_agents_and_controllers_and_nothing_that_serves() -> None:
    said = steps(*(Change(n, "Environments", (str(layout.VENV),)) for n in SPEC.nodes))
    assert [s.split(":")[0] for s in said[1:]] == [
        "restart the agent", "restart the manifest's follower", "restart the controller",
    ]  # fmt: skip


def test_a_reload_is_told_apart_and_the_stronger_one_wins() -> None:
    unit = next(
        f for f in FILES if f.node == "arc1" and f.unit == "nginx.service" and f.on_change == "reload"
    )
    assert "no connection ends" in steps(Change("arc1", "Files", (unit.path,)))[1]
    said = steps(
        Change("arc1", "Files", (unit.path,)), Change("arc1", "nginx", ("restart",), unit="nginx.service")
    )
    assert [s for s in said if "nginx" in s] == [s for s in said if s.startswith("restart nginx")]


def test_what_ansible_itself_found_out_counts() -> None:
    said = steps(Change("wit1", "Controller", ("start",), unit=control.CONTROLLER))
    assert said == ["restart the controller: wit1; the active one last; another takes its place within 4 s"]


def test_parameters_and_packages_are_said_too() -> None:
    said = steps(Change("arc1", "Packages"), Change("db1", foreseen.DYNAMIC), Change("db2", "The standby"))
    assert said[0] == "Packages: arc1"
    assert said[1:] == [foreseen.DYNAMIC_SAID, foreseen.PENDING_SAID.format(nodes="db2")]


def test_the_names_of_its_tasks_are_those_of_the_playbook() -> None:
    plays = yaml.safe_load((resources.folder("ansible") / "plays" / "postgres.yml").read_text())
    names = {task["name"] for play in plays for task in play.get("tasks", ())}
    assert {foreseen.DYNAMIC, *foreseen.PENDING} <= names


def test_the_first_one_is_one_step() -> None:
    assert len(steps(Change("db1", "Files", ("/etc/a",)), facts=Facts(fresh=True))) == 1


@pytest.mark.parametrize(
    ("result", "what", "unit"),
    [
        ({"changed": True, "action": "restart", "unit": "etcd.service"}, ("restart",), "etcd.service"),
        ({"changed": True, "path": "/opt/hactl", "stamp": "x"}, ("/opt/hactl",), ""),
        ({"changed": True, "written": ["/etc/a"]}, ("/etc/a",), ""),
    ],
)
def test_what_a_module_says_of_a_change(result: dict[str, object], what: tuple[str, ...], unit: str) -> None:
    journal = Journal()
    journal.take({"event": "runner_on_ok", "event_data": {"host": "db1", "task": "T", "res": result}})
    assert (journal.changes[0].what, journal.changes[0].unit) == (what, unit)
