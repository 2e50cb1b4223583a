"""`hactl controller run` of a made-up installation: `python -m tests.bench.scale_controller FOLDER N FAULTY`.

All of the real process but one thing: there is no database behind the virtual IP, so each commit through it
succeeds at once.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

from hactl.controller import main as controller
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from hactl.wiring_controller import ControllerPorts, controller_ports
from tests.bench.scale_place import ME, Place


@dataclass(frozen=True)
class Beat:
    node: str = "db1"
    took: float = 0.01


class Heart:
    def beat(self, within: float) -> Beat:  # noqa: ARG002 - as the real one
        return Beat()


def _ports(spec: ClusterSpec, site: Site, me: str) -> ControllerPorts:
    return dataclasses.replace(controller_ports(spec, site, me), heart=Heart())  # type: ignore[arg-type]


def main() -> None:
    folder, count, faulty = sys.argv[1:4]
    place = Place(Path(folder), int(count), int(faulty))
    vars(controller)["controller_ports"] = _ports
    controller.serve(place.spec(), place.site(), place.spec, me=ME, state=place.folder / "state")


if __name__ == "__main__":
    main()
