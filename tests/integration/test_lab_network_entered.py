"""A lab's spec moves the process into the lab's network: with a real network namespace."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.adapters.command import run
from tests.support import leftovers
from tests.support.specs import SAMPLE

pytestmark = pytest.mark.lab

SHOW = """
import os, sys, threading
import click
from hactl.cli.context import open_context
before = os.stat("/proc/thread-self/ns/net").st_ino
for _ in range(2):
    context = open_context(click.Context(click.Command("x"), obj={"spec": sys.argv[1]}))
inodes = [os.stat("/proc/thread-self/ns/net").st_ino]
worker = threading.Thread(target=lambda: inodes.append(os.stat("/proc/thread-self/ns/net").st_ino))
worker.start(); worker.join()
print(before, *inodes, context.site.lab)
"""

AS_NOBODY = f"""
import os, sys
import click
from hactl.cli.context import open_context
open_context(click.Context(click.Command("x"), obj={{"spec": sys.argv[2]}}))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
{SHOW}"""


@pytest.fixture
def lab() -> Iterator[Path]:
    """A folder that every account may look into, which pytest's own are not."""
    name = leftovers.name("ops")
    with leftovers.scratch("/run") as folder:
        shutil.copy(SAMPLE, folder / "cluster.yaml")
        (folder / "cluster.yaml").chmod(0o644)
        (folder / "lab.json").write_text(json.dumps({"ops_netns": name}), encoding="utf-8")
        run(["ip", "netns", "add", name], within=10)
        try:
            yield folder
        finally:
            run(["ip", "netns", "del", name], within=10)


def test_the_process_and_its_threads_are_in_the_labs_network(lab: Path) -> None:
    argv = [sys.executable, "-c", SHOW, str(lab / "cluster.yaml")]
    out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout
    before, main, thread, folder = out.split()
    netns = json.loads((lab / "lab.json").read_text(encoding="utf-8"))["ops_netns"]
    assert int(main) == int(thread) == Path("/run/netns", netns).stat().st_ino != int(before)
    assert folder == str(lab)


def test_others_than_root_are_refused_in_one_sentence(lab: Path) -> None:
    # Everything is imported first, by opening a spec of no lab: the checkout may be for root only.
    plain = lab / "plain"
    plain.mkdir()
    shutil.copy(SAMPLE, plain / "cluster.yaml")
    argv = [sys.executable, "-c", AS_NOBODY, str(lab / "cluster.yaml"), str(plain / "cluster.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert f"Refused: only root may enter the network of lab {lab.name}" in done.stderr
