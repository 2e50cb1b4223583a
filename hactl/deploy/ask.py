"""What must be known before anything is touched: which nodes hactl deployed before. Asked over SSH."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hactl import layout
from hactl.adapters.command import run
from hactl.deploy.inventory import ssh_arguments
from hactl.errors import Unreachable
from hactl.site import Site
from hactl.spec.model import ClusterSpec

ANSWER_WITHIN = 15.0  # seconds a node; ssh itself gives up connecting after 10
_YES, _NO = "deployed", "empty"
_QUESTION = f"if test -e {layout.MANIFEST}; then echo {_YES}; else echo {_NO}; fi"


@dataclass(frozen=True)
class Answer:
    """`deployed` is None when the node could not be asked; `why` then says so."""

    node: str
    deployed: bool | None
    why: str = ""


def _ask(spec: ClusterSpec, site: Site, node: str) -> Answer:
    key = ["-i", str(site.ssh_key)] if site.ssh_key else []
    target = f"{spec.ssh.deploy_user}@{spec.nodes[node].address}"
    argv = [
        "ssh",
        *ssh_arguments(site),
        *key,
        "-o",
        "BatchMode=yes",
        "-p",
        str(spec.ssh.port),
        target,
        _QUESTION,
    ]
    try:
        done = run(argv, within=ANSWER_WITHIN, check=False)
    except Unreachable as error:
        return Answer(node, None, error.message)
    said = done.out.strip()
    if done.code == 0 and said in {_YES, _NO}:
        return Answer(node, said == _YES)
    lines = (done.err or done.out).strip().splitlines()
    return Answer(node, None, lines[-1] if lines else f"ssh ended with code {done.code}")


def who_is_deployed(spec: ClusterSpec, site: Site) -> tuple[Answer, ...]:
    """One answer a node, in the spec's order."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return tuple(pool.map(lambda node: _ask(spec, site, node), spec.nodes))


def insist(answers: Sequence[Answer], needed: Sequence[str]) -> None:
    """Raises Unreachable when one of the nodes in `needed` could not be asked; names all of them."""
    silent = [a for a in answers if a.deployed is None and a.node in needed]
    if silent:
        raise Unreachable(
            "; ".join(f"{a.node}: {a.why}" for a in silent),
            hint=f"see that it is up; a new node's host key is pinned with: hactl pki trust {silent[0].node}",
        )
