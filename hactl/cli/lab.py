"""`hactl lab`: the whole installation on one machine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hactl.errors import Refused, Unreachable
from hactl.units import Seconds

if TYPE_CHECKING:
    from hactl.lab.lab import Lab

NAME = click.option("--name", metavar="NAME", help="The lab's name, if there are several.")
_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.group("lab")
def command() -> None:
    """The whole installation on one machine, with faults on purpose. Needs root."""


@command.command("up")
@click.option("--name", default="demo", show_default=True, metavar="NAME", help="The lab's name.")
@click.option(
    "--spec",
    "spec_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What to build. Default: two database nodes, a witness, two archive nodes.",
)
@click.option("--deploy/--no-deploy", default=True, help="Whether to run `hactl deploy` on it at the end.")
@click.pass_context
def up_command(ctx: click.Context, name: str, spec_file: Path | None, deploy: bool) -> None:
    """Make the lab and deploy into it; complete what is missing of one that is there.

    Examples:
      hactl lab up
      hactl lab up --name trial --spec cluster.yaml
    """
    from hactl import resources
    from hactl.lab.folder import check_name
    from hactl.lab.up import up

    _need_root()
    source = spec_file or resources.folder("templates") / "lab" / "cluster.yaml"
    with _progress("lab up") as say:
        lab = up(check_name(name), source.read_text(encoding="utf-8"), str(source), say)
    if deploy:
        _deploy(lab, (ctx.find_root().obj or {}).get("verbose", 0))


def _deploy(lab: Lab, verbose: int) -> None:
    """The very same command that production gets, with the lab's spec."""
    from hactl.cli.app import root

    argv = ["--spec", str(lab.folder.spec), *["-v"] * verbose, "deploy"]
    root.main(argv, prog_name="hactl", standalone_mode=False)


@command.command("down")
@click.option("--name", default="demo", show_default=True, metavar="NAME", help="The lab's name.")
@click.option("--image", "with_image", is_flag=True, help="Forget the cached image too.")
def down_command(name: str, with_image: bool) -> None:
    """Remove the lab and everything it made.

    Example:
      hactl lab down --name demo
    """
    from hactl.lab import image
    from hactl.lab.down import down
    from hactl.lab.folder import check_name

    _need_root()
    with _progress("lab down") as say:
        was_there = down(check_name(name), say)
        if with_image:
            image.remove_all()
    if not was_there:
        click.echo(f"there was no lab {name}", err=True)


@command.command("status")
@NAME
@click.pass_context
def status_command(ctx: click.Context, name: str | None) -> None:
    """Which machines are on, off, frozen or cut off.

    Example:
      hactl lab status -o json
    """
    from hactl.cli import lab_view

    lab = _open(name)
    lab_view.show(lab, (ctx.find_root().obj or {}).get("output", "table"))


@command.command("exec", context_settings=_PASS_ON)
@NAME
@click.argument("node")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
def exec_command(name: str | None, node: str, argv: tuple[str, ...]) -> None:
    """Run CMD as root on NODE, also when its network is cut.

    Example:
      hactl lab exec db1 -- systemctl status patroni.service
    """
    _become(_open(name).machine(node).exec_argv(_without_dashes(argv)))


@command.command("shell", context_settings=_PASS_ON)
@NAME
@click.argument("argv", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
def shell_command(name: str | None, argv: tuple[str, ...]) -> None:
    """A shell, or CMD, where the operator sits: nodes and virtual IPs are reached from there.

    Examples:
      hactl lab shell
      hactl lab shell -- ping -c 1 db1
    """
    lab = _open(name)
    os.environ["HACTL_SPEC"] = str(lab.folder.spec)
    _become(lab.ops_argv(_without_dashes(argv) or (os.environ.get("SHELL", "/bin/sh"),)))


@command.command("fault")
@NAME
@click.option(
    "--for",
    "lasting",
    metavar="TIME",
    help="Hold it so long (10s, 2min), then heal; Ctrl-C heals at once, also without --for.",
)
@click.argument("kind")
@click.argument("node")
@click.argument("word", default="", required=False)
def fault_command(name: str | None, lasting: str | None, kind: str, node: str, word: str) -> None:
    r"""Inject the fault KIND on NODE.

    \b
    power-off power-on isolate join freeze thaw     the whole machine
    crash-postgres freeze-postgres                  the postmaster
    stall-disk, fill-disk NODE [PERCENT]            a database node's data disk
    stall-etcd-disk                                 the disk of etcd's data there
    unmount-storage swap-storage readonly-storage   an archive node's image storage
    fill-storage NODE [PERCENT], freeze-pool        of all archive nodes; its database connections
    kill-X lose-X freeze-X                          X: patroni etcd keepalived agent controller orthanc
    stop-hactl (NODE or all)                        agent and controller, also after a boot
    cut NODE OTHER, one-way NODE OTHER, loss NODE PERCENT, narrow NODE KBIT
    deaf voiceless cut-etcd lose-garp lose-names    what does not arrive
    turn-clock NODE [SECONDS], own-clock            agent's, controller's and Patroni's wall clock
    lead-etcd freeze-quorum freeze-bmc dud-bmc      etcd and the BMC
    hang-postgres bar-postgres damage-wal damage-control break-rewind make-stale
    own-page damage-page                            an index nobody needs; its page damaged, and read

    Examples:
      hactl lab fault power-off db1
      hactl lab fault cut db1 db2 --for 30s
    """
    from hactl.cli import operator
    from hactl.lab.faults import fault

    seconds = None if lasting is None else _seconds(lasting)
    chosen, lab, stays = fault(kind, word), _open(name), False
    with operator.signals():
        try:
            chosen.inject(lab, node)
            stays = seconds is None
            time.sleep(seconds or 0.0)
        finally:
            if chosen.heal and not stays:
                with operator.undisturbed(lambda said: click.echo(said, err=True)):
                    chosen.heal(lab, node)


@command.command("heal")
@NAME
def heal_command(name: str | None) -> None:
    """Undo every fault: thaw, plug in, power on, start what was stopped.

    Example:
      hactl lab heal
    """
    from hactl.lab.faults import heal

    for sentence in heal(_open(name)) or ["nothing to heal"]:
        click.echo(sentence)


def _need_root() -> None:
    if os.geteuid() != 0:
        raise Refused(
            "the lab needs root: it makes namespaces, mounts and cgroups",
            hint="run the same command with sudo",
        )


def _open(name: str | None) -> Lab:
    from hactl.lab.folder import LABS, check_name
    from hactl.lab.lab import Lab, only_lab

    _need_root()
    return Lab.open(only_lab(LABS, check_name(name) if name else None))


def _without_dashes(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Click keeps the `--` that follows a positional argument."""
    return argv[1:] if argv[:1] == ("--",) else argv


def _seconds(text: str) -> float:
    try:
        return Seconds.parse(text).value
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from error


def _become(argv: list[str]) -> None:
    """Run `argv` in our place: its terminal, its signals, its exit code."""
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - an argv list, no shell
    except FileNotFoundError as error:
        raise Unreachable(f"{argv[0]} is not installed", hint="apt-get install util-linux") from error


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str], None]]:
    """One live line on a terminal; elsewhere a line for each step, with the time since the start."""
    from rich.console import Console

    console, start, last = Console(stderr=True), time.monotonic(), [""]

    def say(text: str) -> None:
        if console.is_terminal:
            status.update(f"{title}: {text}")
        elif text.split(":", maxsplit=1)[0] != last[0]:  # of the image's hundreds of lines only the first
            console.print(
                f"{time.monotonic() - start:6.1f} s  {text}", highlight=False, markup=False, soft_wrap=True
            )
        last[0] = text.split(":", maxsplit=1)[0]

    with console.status(f"{title} ...") as status:
        yield say
    console.print(f"{title}: done in {time.monotonic() - start:.1f} s", highlight=False)
