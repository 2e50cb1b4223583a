"""Makes a lab, or completes one: every step looks first whether its work is there already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from hactl.errors import Refused
from hactl.lab import datadisk, disk, folder, image, netns, network, preflight
from hactl.lab.folder import LabFolder
from hactl.lab.lab import Lab
from hactl.lab.lock import held
from hactl.lab.machine import Power
from hactl.lab.recipe import Recipe
from hactl.lab.topology import Topology, plan, prefix
from hactl.pki.known_hosts import HostKey
from hactl.pki.store import Store
from hactl.spec.load import load

Say = Callable[[str], None]
_IMAGES: Final = 4 * 1024**3  # bytes, sparse


def up(name: str, spec_text: str, source: str, say: Say, only: Collection[str] = ()) -> Lab:
    """The lab `name`, all its machines booted and reachable by SSH from its `ops` namespace.

    `say` is told what is being done, a short phrase each time. `only`: of the spec's machines no others.

    Raises:
        SpecError, Refused: the spec cannot be used, or this machine cannot make a lab (all reasons).
        LockHeld: another command is making or removing this lab.
        StepFailed, Unreachable: a step failed; `hactl lab up` again continues, `hactl lab down` removes.

    """
    spec = load(spec_text, source)
    topology, place = plan(name, spec), folder.folder_of(name)
    recipe = image.recipe()
    say("looking at this machine")
    preflight.require(name, needs_image=not image.ready(recipe), boots=not place.file.exists())
    with held(place.path, f"the lab {name}"):
        place.path.chmod(0o700)  # machines' disks hold keys, and accounts on them are other accounts here
        _settle(place, topology, recipe, spec_text)
        say("image")
        _ensure_image(place, recipe, name, say)
        say("credentials")
        Store(place.state).init(spec)
        lab = Lab.open(place.path).reduced(only or tuple(spec.nodes))
        _ensure_disks(lab)
        say("network")
        network.ensure_fixed(topology)
        _ensure_bmcs(lab)
        _boot(lab, say)
    return lab


def _settle(place: LabFolder, topology: Topology, recipe: Recipe, spec_text: str) -> None:
    """Write down what the lab is before anything of it exists, so that `down` can always read it."""
    kept = place.read() if place.file.exists() else None
    if kept is None:
        facts = folder.facts(topology, place, image.path_of(recipe))
        folder.replace(place.spec, spec_text)
        folder.replace(place.hosts, folder.hosts_text(topology))
        place.write(facts)
        return
    if plan(topology.name, load(place.spec.read_text(encoding="utf-8"), str(place.spec))) != topology:
        raise Refused(
            f"the lab {topology.name} was made from a spec with other nodes or addresses",
            hint=f"hactl lab down --name {topology.name}, then up again",
        )
    folder.replace(place.spec, spec_text)


def _ensure_image(place: LabFolder, recipe: Recipe, name: str, say: Say) -> None:
    """Machines that have disks keep the image these were made on, also when there is a newer recipe."""
    facts = place.read()
    kept = Path(facts["image"])
    if image.root_of(kept).is_dir() and (place.path / "machines").is_dir():
        return
    made = image.ensure(recipe, prefix(name) + "image", lambda line: say(f"image: {line[:60]}"))
    place.write({**facts, "image": str(made)})


def _ensure_disks(lab: Lab) -> None:
    store = Store(lab.folder.state)
    authorized = store.ssh_key.with_suffix(".pub").read_text(encoding="ascii")
    hosts = lab.folder.hosts.read_text(encoding="utf-8")
    postgres, etcd = (image.account(Path(lab.folder.read()["image"]), name) for name in ("postgres", "etcd"))
    for m in lab.machines.values():
        home, owner = lab.folder.machine(m.name), postgres if m.machine.database else None
        voter = etcd if m.machine.voter else None
        disk.prepare(home, disk.Contents(m.name, hosts, authorized, lab.spec.ssh.port, owner, voter))
        kind, blob = disk.host_key(home).split()
        store.trust(str(m.machine.node.address), lab.spec.ssh.port, HostKey(kind, blob), replace=True)
    if not lab.folder.images.exists() and not lab.folder.storage.is_dir():
        owner = image.account(Path(lab.folder.read()["image"]), "orthanc")
        datadisk.make(lab.folder.images, owner, _IMAGES)


def _ensure_bmcs(lab: Lab) -> None:
    for m in lab.topology.machines:
        if m.bmc and not lab.runs(m.bmc.scope):
            inside = ["nsenter", f"--net={netns.RUN / m.bmc.scope}", "--"]
            argv = [*inside, sys.executable, "-P", "-m", "hactl.lab.bmc", str(lab.folder.path), m.name]
            lab.scopes.remove(m.bmc.scope)
            lab.scopes.start(m.bmc.scope, argv, lab.folder.path / f"bmc-{m.name}.log")


def _boot(lab: Lab, say: Say) -> None:
    off = [m for m in lab.machines.values() if m.power() is Power.OFF]
    for m in off:
        m.power_on()
    if off:
        say(f"booting {' '.join(m.name for m in off)}")
        lab.wait_booted([m.name for m in off], lambda node: say(f"{node} is up"))
