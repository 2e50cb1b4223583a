from __future__ import annotations

from pathlib import Path

import pytest

from hactl.decide.codes import finding
from hactl.deploy import gate
from hactl.deploy.ask import Answer, insist
from hactl.errors import Refused, Unreachable, UsageError
from hactl.site import Site, find
from tests.support.specs import sample

SPEC = sample()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return find(tmp_path / "cluster.yaml", "demo", environ={"HACTL_STATE": str(tmp_path)})


def answers(**given: bool | None) -> tuple[Answer, ...]:
    return tuple(
        Answer(n, given.get(n, False), "" if given.get(n, False) is not None else "timed out")
        for n in SPEC.nodes
    )


def test_nobody_deployed_is_a_first_deployment(site: Site) -> None:
    facts = gate.facts(SPEC, site, answers(), None, force=False)
    assert facts.fresh
    assert facts.new == set(SPEC.nodes)


def test_a_silent_node_is_named_not_taken_for_an_empty_one(site: Site) -> None:
    with pytest.raises(Unreachable, match="db2: timed out"):
        gate.facts(SPEC, site, answers(db2=None), None, force=True)


def test_a_silent_node_counts_also_when_another_one_is_deployed_alone(site: Site) -> None:
    with pytest.raises(Unreachable, match="db2: timed out"):
        gate.facts(SPEC, site, answers(db2=None), "arc1", force=True)


def test_the_first_deployment_takes_all_nodes(site: Site) -> None:
    with pytest.raises(Refused, match="arc1 alone is no cluster"):
        gate.facts(SPEC, site, answers(), "arc1", force=False)


def test_an_unknown_node_is_a_usage_error(site: Site) -> None:
    with pytest.raises(UsageError, match="db9"):
        gate.facts(SPEC, site, answers(), "db9", force=False)


def test_all_findings_are_the_vetoes() -> None:
    found = [finding("NODE_UNREACHABLE", "db2", "no route"), finding("SOURCE_UNKNOWN", "db1", "?")]
    with pytest.raises(Refused) as refused:
        gate.refuse_unhealthy(found, ())
    assert refused.value.vetoes[0] == "NODE_UNREACHABLE db2: no route"
    assert "--force" in refused.value.hint


def test_what_is_wrong_with_a_new_node_is_why_it_is_deployed() -> None:
    gate.refuse_unhealthy([finding("NODE_UNREACHABLE", "arc3", "nothing there yet")], {"arc3"})


def test_only_the_needed_nodes_have_to_answer() -> None:
    insist(answers(db1=None), ["arc1"])


@pytest.mark.parametrize("code", ["CERT_EXPIRING", "CERT_EXPIRED", "CERT_REFUSED"])
def test_certificates_that_end_do_not_keep_out_what_brings_new_ones(code: str) -> None:
    gate.refuse_unhealthy([finding(code, "db1", "hactl, on the node: on 2026-12-01")], ())


def test_what_a_deployment_mends_by_itself_does_not_keep_it_from_it() -> None:
    """A site that was deployed by a hactl without agents and controllers."""
    gate.refuse_unhealthy([finding(name, "db1", "") for name in sorted(gate.MENDED)], ())
    with pytest.raises(Refused) as refused:
        gate.refuse_unhealthy([finding("CONTROLLER_NONE"), finding("FENCED", "db2", "lost")], ())
    assert [v.split(" ")[0] for v in refused.value.vetoes] == ["FENCED"]
