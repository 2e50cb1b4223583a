"""`lab down` leaves nothing, also after `lab up` was killed at any moment."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.lab import datadisk, faults, image, preflight, scope
from hactl.lab.down import down, leftovers
from hactl.lab.lab import Lab
from hactl.lab.machine import Power
from hactl.lab.wait import wait_until
from tests.support import writers
from tests.support.lab_traces import links, traces

pytestmark = pytest.mark.lab
NAME = "down-test"
HACTL = [sys.executable, "-m", "hactl", "lab"]
UP = [*HACTL, "up", "--name", NAME, "--no-deploy"]
DOWN = [*HACTL, "down", "--name", NAME]


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    assert preflight.lacks() == []
    down(NAME, lambda _: None)
    assert traces(NAME) == []
    yield
    down(NAME, lambda _: None)


def run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr


def kill_up_after(seconds: float) -> bool:
    """Start `lab up`, SIGKILL it; False when it had ended before."""
    with subprocess.Popen(UP, stderr=subprocess.DEVNULL) as command:
        try:
            command.wait(seconds)
        except subprocess.TimeoutExpired:
            command.kill()
            return True
    return False


def test_down_leaves_nothing() -> None:
    before = links()
    run(UP)
    assert {word.split()[0] for word in traces(NAME)} >= {"netns", "mount", "cgroup", "process", "file"}
    assert links() == before, "no interface of the lab is ever in this machine's own namespace"
    run(DOWN)
    assert traces(NAME) == []
    assert links() == before


def test_down_without_a_lab_is_no_error() -> None:
    run(DOWN)


def test_killed_at_many_moments_down_leaves_nothing() -> None:
    """The whole of a warm `up` in steps of 0.12 s; it ends by itself at the last ones."""
    run(UP)  # the image is there from now on
    run(DOWN)
    killed = 0
    for step in range(1, 22):
        killed += kill_up_after(0.12 * step)
        down(NAME, lambda _: None)
        assert traces(NAME) == [], f"after a kill at {0.12 * step:.2f} s"
    assert killed >= 8


def test_killed_at_many_moments_up_completes() -> None:
    for step in range(3, 14, 2):
        kill_up_after(0.12 * step)
    run(UP)
    lab = Lab.open(Path("/var/lib/hactl-lab") / NAME)
    assert [s.power for s in lab.status()] == [Power.ON] * 5


def test_down_copes_with_whatever_became_of_the_machines() -> None:
    """Frozen, cut off, switched off; one that waits for its stalled disk, one killed by others beside one."""
    run(UP)
    lab = Lab.open(Path("/var/lib/hactl-lab") / NAME)
    lab.freeze("arc1")
    lab.isolate("arc2")
    lab.power_off("wit1")
    for node in ("db1", "db2"):
        faults.fault("stall-disk").inject(lab, node)
    writers.start(lab, "db1")
    cgroup = lab.scopes.cgroup(lab.machine("db2").machine.scope)
    assert cgroup
    scope.kill(cgroup)
    assert datadisk.devices(lab.folder.machine("db2").data), "frozen, so the kernel keeps it"
    run(DOWN)
    assert leftovers(NAME) == []
    assert traces(NAME) == []


def test_a_killed_image_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a cache of its own, so that the build begins at the beginning."""
    monkeypatch.setattr(image, "CACHE", tmp_path / "cache")
    program = (
        "import sys; from pathlib import Path; from hactl import resources; from hactl.lab import image, up;"
        "image.CACHE = Path(sys.argv[1]);"
        "spec = resources.folder('templates') / 'lab' / 'cluster.yaml';"
        "up.up(sys.argv[2], spec.read_text(), 'own', lambda line: None)"
    )
    argv = [sys.executable, "-c", program, str(image.CACHE), NAME]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as command:
        building = image.CACHE / f"building-{image.recipe().digest}" / "root" / "etc"
        wait_until(building.is_dir, within=60, say=lambda: "the build did not begin")
        time.sleep(2)
        command.kill()
    assert any("mmdebstrap" in line for line in traces(NAME)), (
        "the builder outlives the command that was killed"
    )
    down(NAME, lambda _: None)
    assert traces(NAME) == []
    assert list(image.CACHE.iterdir()) == []
