"""`hactl access`: who may do what, and what their SSH keys and sudo rules look like."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import Refused, UsageError

if TYPE_CHECKING:
    from hactl.render.people import Call

BIN: Final = Path("/usr/local/bin")
SUDOERS: Final = Path("/etc/sudoers.d")
PROGRAM: Final = click.option(
    "--program", metavar="COMMAND", help="How hactl is called here. Default: this Python, isolated."
)


@click.group()
def command() -> None:
    """Who may do what on this installation (`access.people` of the spec), and how it is enforced.

    People do not hold the cluster's secrets. Their SSH keys, or sudo, run `hactl gate` as the account that
    does; it lets each do what their role allows. docs/roles.md has the whole.
    """


@command.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the people of the spec, their roles and how they come in.

    Example:
      hactl access list
    """
    context = open_context(ctx, connect=False)
    access = context.spec.access
    if context.output != "table":
        people = [
            {"name": name, "role": p.role, "keys": len(p.keys), "os_users": list(p.os_users),
             "subjects": list(p.subjects)}
            for name, p in access.people.items()
        ]  # fmt: skip
        emit({"version": 1, "cluster": context.spec.cluster, "two_person": access.two_person,
              "people": people}, context.output)  # fmt: skip
        return
    for name, person in access.people.items():
        ways = [f"{len(person.keys)} SSH key{'s' if len(person.keys) != 1 else ''}"] if person.keys else []
        ways += [f"sudo as {user}" for user in person.os_users]
        ways += [f"certificate {subject}" for subject in person.subjects]
        click.echo(f"{name:<16} {person.role:<10} {', '.join(ways)}")
    if not access.people:
        click.echo("the spec names no people: whoever can read the state folder may do everything")
    elif access.two_person:
        click.echo("a failover by hand needs a second person: hactl approve")


@command.command()
@PROGRAM
@click.pass_context
def keys(ctx: click.Context, program: str | None) -> None:
    """Print the lines of authorized_keys, one for each key of each person.

    Example:
      hactl access keys
    """
    from hactl.render.people import authorized_keys

    context = open_context(ctx, connect=False)
    for line in authorized_keys(context.spec, call(context, program)):
        click.echo(line)


@command.command()
@PROGRAM
@click.option("--file", "file", type=click.Path(path_type=Path), help="Default: ~/.ssh/authorized_keys.")
@click.option("--dry-run", is_flag=True, help="Print what the file would be.")
@click.pass_context
def install(ctx: click.Context, program: str | None, file: Path | None, dry_run: bool) -> None:
    """Write the people's keys into this account's authorized_keys; other lines there stay.

    Again after each change of `access.people`. Who was removed from the spec is out at once in any case.

    Example:
      hactl access install --dry-run
    """
    from hactl.pki import files
    from hactl.render.people import authorized_keys, between

    context = open_context(ctx, connect=False)
    path = file or Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".ssh" / "authorized_keys"
    lines = authorized_keys(context.spec, call(context, program))
    before = _own(path)
    after = between(before, context.spec.cluster, lines)
    if dry_run:
        click.echo(after, nl=False)
        return
    files.check_target(path.parent)
    if after != before:
        files.write(path, after.encode(), 0o600)
    click.echo(f"{path}: {len(lines)} keys of {len(context.spec.access.people)} people")
    for line in strangers(after):
        click.echo(f"  also there, and not held back by hactl: {line}", err=True)


def _own(path: Path) -> str:
    """What stands in it. Raises Refused: it is a link, or somebody else's."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ""
    if path.is_symlink() or found.st_uid != os.geteuid():
        raise Refused(f"{path} is a link, or another account's")
    return path.read_text(encoding="utf-8")


def strangers(text: str) -> list[str]:
    """Keys that are not behind the gate: each opens whatever the account may do."""
    lines = [line.strip() for line in text.splitlines()]
    others = [line for line in lines if line and not line.startswith(("#", "restrict,pty,command="))]
    return [" ".join(line.split()[-1:])[:60] for line in others]


@command.command()
@PROGRAM
@click.option("--install", "write", is_flag=True, help="Write both files, as root.")
@click.option("--account", metavar="USER", help="Who owns the state folder. Default: this account.")
@click.pass_context
def sudo(ctx: click.Context, program: str | None, write: bool, account: str | None) -> None:
    """Print the wrapper and the sudo rule for the accounts of `os_users`, or write them.

    A person then types `sudo -u ACCOUNT hactl-gate-CLUSTER status`.

    Example:
      hactl access sudo --account hactl-ops
    """
    from hactl.render.people import sudoers, wrapper

    context = open_context(ctx, connect=False)
    owner = account or pwd.getpwuid(os.geteuid()).pw_name
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", owner):
        raise UsageError(f"{owner} is no account")
    path = BIN / f"hactl-gate-{context.spec.cluster}"
    script = wrapper(call(context, program))
    rules = sudoers(context.spec, str(path), owner)
    if write:
        _install(path, script, SUDOERS / f"hactl-gate-{context.spec.cluster}", rules)
        return
    click.echo(f"# {path}\n{script}\n# {SUDOERS}/hactl-gate-{context.spec.cluster}\n{rules}", nl=False)


def _install(path: Path, script: str, rule: Path, rules: str) -> None:
    """The rule only after visudo has read it: a broken one shuts everybody out."""
    from hactl.adapters import command as programs
    from hactl.pki import files

    if os.geteuid() != 0:
        raise Refused("only root may write these", hint="the same with sudo, and --account")
    programs.run(["visudo", "--check", "--file=-"], within=20, stdin=rules)
    files.write(path, script.encode(), 0o755)
    files.write(rule, rules.encode(), 0o440)
    click.echo(f"{path}\n{rule}")


def call(context: Context, program: str | None) -> Call:
    """How the gate is called. Isolated (-I): no variable of a caller decides what Python loads."""
    from hactl.render.people import Call

    words = shlex.split(program) if program else [sys.executable, "-I", "-m", "hactl"]
    named = os.environ.keys() & {"HACTL_STATE", "XDG_STATE_HOME"}  # the gate sees neither
    return Call(tuple(words), str(context.source.absolute()), str(context.site.state) if named else "")
