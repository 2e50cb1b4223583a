"""What needs root on this node: one script with a fixed vocabulary, through sudo (templates/agent/act.j2)."""

from __future__ import annotations

from hactl import layout
from hactl.adapters.command import run
from hactl.errors import Refused, StepFailed

SUDO = "/usr/bin/sudo"


class SudoActs:
    def act(self, verb: str, unit: str = "", *, within: float) -> str:
        """What it said.

        Raises:
            Refused: the vocabulary has no such sentence.
            StepFailed: it did not do it.
            Unreachable: it did not end in time.

        """
        argv = [SUDO, "-n", str(layout.ACT), verb, *([unit] if unit else [])]
        done = run(argv, within=within, check=False)
        said = " / ".join((done.out + done.err).strip().splitlines()[-3:])
        if done.code == 0:
            return said or "done"
        sentence = f"{verb} {unit}".strip()
        if done.code == 5:
            raise StepFailed(f"{sentence}: {said}")
        raise Refused(f"{sentence} is not among what this agent may have root do: {said}")
