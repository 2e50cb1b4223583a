"""What every command that works on a cluster starts from: its spec, and this machine's credentials for it."""

from __future__ import annotations

import ctypes
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import click

from hactl import site as sites
from hactl.cli import specfile
from hactl.errors import Refused, Unreachable
from hactl.site import Site
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec

CLONE_NEWNET = 0x40000000  # <linux/sched.h>


@dataclass(frozen=True)
class Context:
    """`source`: the spec's file, `text`: what stands in it; `output`: table, json or yaml; `verbose`: -v."""

    spec: ClusterSpec
    source: Path
    site: Site
    output: str
    verbose: int
    text: str = ""


def open_context(ctx: click.Context, *, connect: bool = True) -> Context:
    """Load the spec that the options (or the lookup order) name, and find the credentials for it.

    With `connect`, a lab's spec also moves this process into the lab's network: from there nodes and
    virtual IPs are reached as an operator reaches them in production. Commands that only read files pass
    False.

    Raises:
        UsageError: no spec, or it cannot be read.
        SpecError: the spec cannot be used.
        Refused: the lab's network may be entered by root only.
        Unreachable: the lab is not up.

    """
    options = ctx.find_root().obj or {}
    source = specfile.locate(options.get("spec"))
    text = specfile.read(source)
    spec = load(text, str(source))
    site = sites.find(source, spec.cluster)
    if connect and site.lab is not None:
        enter_lab(site.lab)
    return Context(
        spec=spec,
        source=source,
        site=site,
        output=options.get("output", "table"),
        verbose=options.get("verbose", 0),
        text=text,
    )


def enter_lab(lab: Path, *, netns: Path = specfile.NETNS) -> None:
    """Move this thread, and all threads and programs it starts later, into the lab's `ops` network namespace.

    Does nothing when it is there already. Call it before anything else starts threads or opens sockets.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("the lab's network is entered by the main thread, before others start")
    target = netns / (specfile.ops_netns(lab) or "-")
    try:
        handle = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise Unreachable(f"the lab {lab.name} is not up", hint=f"hactl lab up --name {lab.name}") from error
    except PermissionError as error:
        raise _root_needed(lab) from error
    try:
        if not os.path.samestat(os.fstat(handle), Path("/proc/thread-self/ns/net").stat()):
            _setns(handle, lab)
    finally:
        os.close(handle)


def _setns(handle: int, lab: Path) -> None:
    # os.setns exists from Python 3.12 on; Debian 12 has 3.11.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, CLONE_NEWNET) == 0:
        return
    code = ctypes.get_errno()
    if code in {1, 13}:  # EPERM, EACCES
        raise _root_needed(lab)
    raise Unreachable(f"cannot enter the network of lab {lab.name}: {os.strerror(code)}")


def _root_needed(lab: Path) -> Refused:
    return Refused(
        f"only root may enter the network of lab {lab.name}", hint="run the same command with sudo"
    )
