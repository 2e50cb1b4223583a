"""`hactl deploy`, but with a playbook of the test's and without nodes: `local_deploy.py FOLDER [OPTIONS]`.

Real are the command line, the locks, the certificates, ansible-runner, ansible-playbook and its workers.
FOLDER holds `site.yml` and is what hactl takes for its own `ansible` folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hactl import resources
from hactl.cli.app import main
from hactl.deploy import ask, gate, run, wheelhouse
from hactl.deploy.inventory import Facts
from tests.support.specs import SAMPLE


def deploy(folder: Path, options: list[str]) -> None:
    found = resources.folder
    venv = wheelhouse.Venv("/nowhere", "stamp", ())
    wheels = wheelhouse.Wheelhouse(folder / "wheels.tar", venv, venv)
    resources.folder = lambda name: folder if name == "ansible" else found(name)
    wheelhouse.build = lambda *_: wheels
    ask.who_is_deployed = lambda *_: ()
    gate.facts = lambda *_, **__: Facts(fresh=True)
    run.SILENT_AT_MOST = int(os.environ.get("HACTL_TEST_SILENT_AT_MOST", run.SILENT_AT_MOST))
    main(["--spec", str(SAMPLE), "deploy", *options])


if __name__ == "__main__":
    deploy(Path(sys.argv[1]), sys.argv[2:])
