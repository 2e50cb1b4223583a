"""A drill's ground in the lab: what the lab knows and can do, handed to the drill as plain functions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hactl.errors import Refused

KEYS_WITHIN = 1.0  # seconds: a member of etcd that is gone may cost some of it

if TYPE_CHECKING:
    from hactl.cli.context import Context
    from hactl.drill.ground import Ground
    from hactl.drill.history import Ordered, Row, Sound
    from hactl.drill.keywatch import Keyed
    from hactl.drill.link import Conninfo, Link
    from hactl.lab.lab import Lab


def lab_ground(lab: Lab) -> Ground:
    """Raises Refused when nothing was deployed into the lab yet, or an older hactl made it."""
    from hactl.drill.ground import ground
    from hactl.lab.arp import Asker
    from hactl.lab.glance import reachable_addresses

    made = ground(
        lab.spec,
        lab.site,
        lambda node: reachable_addresses(lab, node),
        lambda node, run: stored(lab, node, run),
        lambda node, within: direct(lab, node, within),
    )
    orders(lab)  # before anything is broken, not when all is over
    return replace(
        made, inside=lambda node, words, within: inside(lab, node, words, within),
        sound=lambda node: sound(lab, node), orders=lambda: orders(lab),
        arp=lambda: Asker(lab, made.vips).ask,
    )  # fmt: skip


def direct(lab: Lab, node: str, within: float) -> Link:
    """To a node's PostgreSQL from inside the node, so that one cut from the network answers too.

    Raises Unreachable when it is off or does not answer.
    """
    from hactl.drill.ground import conninfo

    return inside(lab, node, conninfo(lab.site, str(lab.spec.nodes[node].address)), within)


def inside(lab: Lab, node: str, words: Conninfo, within: float) -> Link:
    """As a program on the node connects. Raises Unreachable."""
    from hactl.drill.link import Link
    from hactl.lab import netns

    # Stays where it was opened, as long as it lives: when the power is cut, PostgreSQL's end of it goes too.
    with netns.entered(lab.machine(node).machine.netns):
        return Link.open(words, within)


def sound(lab: Lab, node: str) -> Sound:
    """Raises StepFailed or Unreachable."""
    from hactl import layout
    from hactl.drill import sound as files
    from hactl.drill.history import Sound

    version, databases = lab.spec.database.version, [layout.DATABASE_HACTL, lab.spec.database.name]
    if node == primary_of(lab):
        for name in databases:
            argv = ["runuser", "-u", "postgres", "--", "psql", "-XAtqc", files.EXTENSION, "--dbname", name]
            lab.exec(node, argv, within=20)
    seen = lab.exec(node, files.amcheck(version, databases), within=files.WITHIN, check=False)
    names = lab.exec(node, files.histories(version), within=20).out
    return Sound(node, files.complaints(seen.code, seen.out, seen.err), files.digests(names))


def orders(lab: Lab) -> list[Ordered]:
    """All that BMCs were told since the lab is up. Raises Refused: an older hactl's keep none."""
    from hactl.drill.history import Ordered

    files = {m.name: lab.folder.orders(m.name) for m in lab.topology.machines if m.bmc}
    if not all(file.exists() for file in files.values()):
        raise Refused("the BMCs of this lab keep no orders: an older hactl made it",
                      hint="hactl lab down, then hactl lab up")  # fmt: skip
    lines = [(node, line) for node, file in files.items() for line in file.read_text().split("\n")[:-1]]
    return [Ordered(node=node, **json.loads(line)) for node, line in lines]


def stored(lab: Lab, node: str, run: str) -> list[Row]:
    """The drill's rows on a node. Raises StepFailed or Unreachable."""
    from hactl.drill import rows

    return rows.parse(lab.exec(node, rows.argv(run), within=20, stdin=rows.SQL).out)


def keyed(context: Context) -> Keyed:
    """What hactl and Patroni have in etcd now, as a drill watches it; it raises Unreachable."""
    from hactl.view.keys import Keys
    from hactl.view.kv import Get
    from hactl.wiring import etcd_kv

    kv, keys = etcd_kv(context.spec, context.site), Keys(context.spec.cluster)
    folders = [f"{keys.own}{name}/" for name in ("fence", "order", "prime")]
    drains = [keys.archive_drain(node) for node in context.spec.archives]
    gets = [*(Get(f, prefix=True) for f in folders), *(Get(d) for d in drains), Get(keys.leader)]

    def look() -> dict[str, str]:
        pairs = [pair for found in kv.ranges(gets, within=KEYS_WITHIN).ranges for pair in found]
        return {p.key.removeprefix(keys.own).removeprefix(keys.patroni): p.value or "" for p in pairs}

    return look


def primary_of(lab: Lab) -> str:
    """The database node whose PostgreSQL is not in recovery, asked on the nodes themselves.

    Raises Unreachable when there is none, or more than one.
    """
    from hactl.errors import HactlError, Unreachable

    found = []
    ask = ["runuser", "-u", "postgres", "--", "psql", "-XAtc", "select pg_is_in_recovery()"]
    for node in lab.spec.databases:
        try:
            if lab.exec(node, ask, within=5).out.strip() == "f":
                found.append(node)
        except HactlError:
            continue
    if len(found) != 1:
        raise Unreachable(f"{len(found)} primaries: {', '.join(found) or 'none'}", hint="hactl status")
    return found[0]


def in_lab(context: Context) -> Path:
    """The lab's folder. Raises Refused: it is no lab."""
    if context.site.lab is None:
        raise Refused(f"{context.spec.cluster} is no lab", hint="hactl lab up")
    return context.site.lab
