"""`hactl deploy --explain`: what a deployment would restart, in which order, and what clients notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hactl.cli.explained import explain
from hactl.cli.proposal import Proposal
from hactl.decide.plan import Veto
from hactl.deploy.run import Listener, Request, Result, deploy
from hactl.errors import Refused, Unreachable

if TYPE_CHECKING:
    from hactl.cli.context import Context


def run(context: Context, request: Request, tell: Listener) -> None:
    """`request`: with `check` and `force`: nothing is touched, and what would be refused is told."""
    vetoes: tuple[Veto, ...]
    try:
        result = deploy(request, tell)
    except Unreachable as error:
        explain(context, _proposal((Veto("NODE_SILENT", error.message),)), again=False)
        return
    except Refused as error:
        vetoes = tuple(Veto("NOT_HEALTHY", why) for why in error.vetoes or (error.message,))
        explain(context, _proposal(vetoes), again=False)
        return
    explain(context, _proposal(result.vetoes, result), locked=not result.first, again=False)


def _proposal(vetoes: tuple[Veto, ...], result: Result | None = None) -> Proposal:
    if result is None:
        return Proposal("deploy", "", "", "nothing is deployed", vetoes=vetoes)
    rest = () if result.first or not result.steps else (RESTS,)
    notes = (*(f"made in the state folder: {made}" for made in result.made), *(FORCED if vetoes else ()))
    return Proposal("deploy", "", "", "nothing is deployed", (*rest, *result.steps), vetoes, notes)


RESTS = "have hactl's own acts rest meanwhile: Patroni and keepalived go on as always"
FORCED = ("--force overrules that the installation is not healthy",)
