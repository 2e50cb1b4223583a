"""Ansible itself reads the playbook; Debian's Python builds an environment from a wheelhouse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
from pathlib import Path

from hactl import resources
from hactl.deploy import ownwheel
from hactl.deploy.hand import offered
from hactl.deploy.inventory import Facts, inventory
from hactl.deploy.wheelhouse import Venv, Wheelhouse
from hactl.errors import Refused
from hactl.site import find
from tests.support import ansible_modules
from tests.support.specs import sample

ANSIBLE = resources.folder("ansible")


def test_ansible_reads_the_whole_playbook(tmp_path: Path) -> None:
    site = find(tmp_path / "cluster.yaml", "demo", environ={"HACTL_STATE": str(tmp_path)})
    wheels = Wheelhouse(tmp_path / "w.tar", Venv("/opt/hactl", "a", ()), Venv("/opt/patroni", "b", ()))
    (tmp_path / "hosts.json").write_text(json.dumps(inventory(sample(), site, Facts(fresh=True), (), wheels)))
    done = playbook(tmp_path, "--syntax-check", "-e", "hactl_fresh=true", str(ANSIBLE / "site.yml"))
    assert done.returncode == 0, done.stderr


def playbook(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """ansible-playbook with our roles and modules, and the inventory hosts.json of the folder."""
    environment = {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_LIBRARY": str(ANSIBLE / "library"),
        "ANSIBLE_ACTION_PLUGINS": str(ANSIBLE / "action_plugins"),
        "ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"),
        "ANSIBLE_HOME": str(folder),
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    argv = [program, "-i", str(folder / "hosts.json"), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, env=environment)


def account_check(folder: Path, uids: dict[str, int | None]) -> subprocess.CompletedProcess[str]:
    """Play what looks at Orthanc's account, on nodes of which these numbers are known."""
    hosts = {name: {"hactl_there": {"uids": {"orthanc": uid}}} for name, uid in uids.items()}
    hosts["outside"] = {}  # of the limit: nothing was asked
    (folder / "hosts.json").write_text(json.dumps({"archive": {"hosts": hosts}}))
    role = {"ansible.builtin.import_role": {"name": "orthanc", "tasks_from": "account"}}
    play = {"hosts": "archive", "gather_facts": False, "any_errors_fatal": True, "tasks": [role]}
    (folder / "play.json").write_text(json.dumps([play]))
    return playbook(folder, "--limit", "!outside", str(folder / "play.json"))


def test_an_account_with_different_numbers_ends_a_deployment(tmp_path: Path) -> None:
    done = account_check(tmp_path, {"arc1": 104, "arc2": 105})
    assert done.returncode != 0
    assert "different numbers on the archive nodes (104, 105)" in " ".join(done.stdout.split())


def test_equal_numbers_and_one_that_is_not_known_yet_are_fine(tmp_path: Path) -> None:
    done = account_check(tmp_path, {"arc1": 104, "arc2": 104, "arc3": None})
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout


def test_the_numbers_are_asked_again_after_packages_were_installed() -> None:
    import yaml

    base = ANSIBLE / "roles" / "base" / "tasks"
    for file, place in (("main.yml", 0), ("packages.yml", -1)):
        assert yaml.safe_load((base / file).read_text())[place] == {"import_tasks": "facts.yml"}


def test_nothing_but_ansibles_own_modules_and_ours_is_used() -> None:
    ours = {path.stem for folder in ("library", "action_plugins") for path in (ANSIBLE / folder).glob("*.py")}
    words = {
        "name",
        "when",
        "vars",
        "block",
        "loop",
        "loop_control",
        "register",
        "changed_when",
        "failed_when",
    }
    words |= {"check_mode", "run_once", "delegate_to", "environment", "import_tasks"}
    import yaml

    for file in (ANSIBLE / "roles").glob("*/tasks/*.yml"):
        tasks = yaml.safe_load(file.read_text())
        tasks += [inner for task in tasks for inner in task.get("block", ())]
        for task in tasks:
            modules = set(task) - words
            assert all(m in ours or m.startswith("ansible.builtin.") for m in modules), (file, modules)


def test_a_task_has_the_deploying_process_drain(tmp_path: Path) -> None:
    done: list[str] = []

    def out(node: str) -> bool:
        if node == "arc2":
            raise Refused("no other archive node can take over", ["arc1: it is drained"], hint="wait")
        done.append(node)
        return True

    def tasks(*words: str) -> subprocess.CompletedProcess[str]:
        hosts = {name: {"ansible_connection": "local"} for name in ("arc1", "arc2")}
        (tmp_path / "hosts.json").write_text(json.dumps({"archive": {"hosts": hosts}}))
        task = {"name": "Out", "hactl_archive": {"act": "out"}}
        play = {"hosts": "archive", "gather_facts": False, "serial": 1, "tasks": [task]}
        (tmp_path / "play.json").write_text(json.dumps([play]))
        return playbook(tmp_path, *words, str(tmp_path / "play.json"))

    with (
        tempfile.TemporaryDirectory() as short,
        offered(Path(short), {"out": out, "in": lambda _: False}, threading.Event()) as hand,
    ):
        told = ("-e", f"hactl_hand={hand}")
        first = tasks(*told, "--limit", "arc1")
        assert "changed=1" in first.stdout, first.stdout
        second = tasks(*told, "--limit", "arc2")
        assert second.returncode != 0
        said = " ".join(second.stdout.split())
        assert "no other archive node can take over; arc1: it is drained -> wait" in said
        assert "failed=0" in tasks(*told, "--check").stdout
    assert done == ["arc1"]
    assert "hactl deploy does not answer" in " ".join(tasks(*told).stdout.split())


def test_an_environment_is_built_switched_and_left_alone(tmp_path: Path) -> None:
    module = ansible_modules.load("hactl_venv")
    wheel, fingerprint = ownwheel.build(tmp_path), ownwheel.fingerprint()
    with tarfile.open(tmp_path / "house.tar", "w") as archive:
        archive.add(wheel, arcname=wheel.name)
    place = tmp_path / "opt" / "hactl"
    place.parent.mkdir()
    given = {"path": str(place), "stamp": "one", "tar": str(tmp_path / "house.tar"), "wheels": [wheel.name]}
    assert ansible_modules.run(module, given, check=True)["changed"]
    assert not place.exists()
    first = ansible_modules.run(module, given)
    assert first["changed"], first
    look = "from hactl import resources; print(resources.folder('ansible'))"
    said = subprocess.run(
        [place / "bin" / "python", "-I", "-c", look], capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith(f"{place.parent}/hactl-venvs/hactl-one/")
    assert said.stdout.rstrip().endswith("_data/ansible")
    # hactl that was installed from this wheel makes the very same wheel.
    again = "from hactl.deploy import ownwheel; print(ownwheel.fingerprint())"
    made = subprocess.run(
        [place / "bin" / "python", "-I", "-c", again], capture_output=True, text=True, check=True
    )
    assert made.stdout.strip() == fingerprint
    assert not ansible_modules.run(module, given)["changed"]
    assert ansible_modules.run(module, {**given, "stamp": "two"})["changed"]
    assert {p.name for p in (place.parent / "hactl-venvs").iterdir()} == {"hactl-one", "hactl-two"}


def test_a_wheel_that_did_not_travel_is_named(tmp_path: Path) -> None:
    module = ansible_modules.load("hactl_venv")
    with tarfile.open(tmp_path / "house.tar", "w"):
        pass
    given = {
        "path": str(tmp_path / "v"),
        "stamp": "x",
        "tar": str(tmp_path / "house.tar"),
        "wheels": ["a.whl"],
    }
    result = ansible_modules.run(module, given)
    assert result["failed"]
    assert "a.whl" in result["msg"]
    assert not (tmp_path / "v").is_symlink()
