"""`hactl gate`: what a person's SSH key or sudo rule runs. One command, never a shell."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import syslog
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from hactl.cli.context import Context, open_context
from hactl.cli.gatekeeper import KEY, Gatekeeper
from hactl.cli.levels import Level
from hactl.errors import Refused, UsageError

if TYPE_CHECKING:
    from hactl.spec.model_access import Person

LONGEST: Final = 4096
# What a person's own terminal may tell; sshd passes LANG and LC_* on as they come.
KEPT: Final = re.compile(r"TERM|LANG|LC_[A-Z]+|COLUMNS|LINES|NO_COLOR|SSH_CONNECTION")
PLAIN: Final = re.compile(r"[A-Za-z0-9_.:@/ +-]{0,200}")
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOW: Final = "ssh HOST status, for example; ssh -t HOST status --watch"


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--as", "person", metavar="NAME", help="Of the spec's people: whose SSH key this is.")
@click.option("--as-os-user", "sudo", is_flag=True, help="Whoever called sudo.")
@click.option("--state", metavar="FOLDER", help="The state folder, where it is not the usual one.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.pass_context
def command(
    ctx: click.Context, person: str | None, sudo: bool, state: str | None, words: tuple[str, ...]
) -> None:
    """Run one hactl command for a person of the spec's `access.people`, as far as their role goes.

    It stands in authorized_keys and behind sudo, as `hactl access install` writes it, and nobody types it.
    With --as the command is what the SSH client sent; it is split as a shell would, and no shell sees it.

    Example:
      hactl gate --as-os-user -- status
    """
    if (person is None) == (not sudo):
        raise UsageError("either --as NAME or --as-os-user", hint="hactl access keys")
    context = open_context(ctx, connect=False)
    if person is not None:
        name, found = _by_name(context, person)
        said = _sent(os.environ, words)
    else:
        name, found = _by_account(context, os.environ)
        said = list(words)
    _run(context, name, found, _checked(said), state)


def _by_name(context: Context, name: str) -> tuple[str, Person]:
    found = context.spec.access.people.get(name)
    if found is None:
        raise Refused(f"the spec knows nobody called {name} any more")
    return name, found


def _by_account(context: Context, environment: Mapping[str, str]) -> tuple[str, Person]:
    """Sudo says who called it; the kernel says who logged in. Both must be the same."""
    from hactl.adapters import actor

    account = environment.get("SUDO_USER", "")
    if not account or account == "root":
        raise Refused("nobody called this by sudo: root needs no gate", hint="hactl access sudo")
    login = actor.logged_in_as()
    if login not in {"", account}:
        raise Refused(f"you logged in as {login}: {account} is somebody else")
    for name, person in context.spec.access.people.items():
        if account in person.os_users:
            return name, person
    raise Refused(f"the spec names no person with the account {account}")


def _sent(environment: Mapping[str, str], words: tuple[str, ...]) -> list[str]:
    """What the SSH client asked for, in words. Raises Refused: nothing, or it cannot be split."""
    text = environment.get("SSH_ORIGINAL_COMMAND", "")
    if words or not environment.get("SSH_CONNECTION"):
        raise UsageError("--as is for sshd: the command comes from the SSH client")
    if len(text) > LONGEST or any(not c.isprintable() for c in text):
        raise Refused("the command is too long, or has control characters in it")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Refused(f"the command cannot be split into words: {error}") from error


def _checked(words: list[str]) -> list[str]:
    words = words[1:] if words[:1] == ["hactl"] else words
    if not words:
        raise Refused("there is no shell here: say what to do", hint=HOW)
    if sum(map(len, words)) > LONGEST or any(not c.isprintable() for word in words for c in word):
        raise Refused("the command is too long, or has control characters in it")
    return words


def _run(context: Context, name: str, person: Person, words: list[str], state: str | None) -> None:
    from hactl.adapters import actor
    from hactl.cli.app import main

    level = Level[person.role.upper()]
    source = str(context.source.absolute())
    keeper = Gatekeeper(
        name, level, source, frozenset({*context.spec.nodes, *context.spec.archive_addresses})
    )
    clean(os.environ, state)
    os.chdir("/")  # a bare word must not happen to be a file beside us
    actor.acts_as(actor.Caller(name, person.role))
    log(f"{name} ({level.word}): {shlex.join(words)}")
    main(["--spec", source, *words], {KEY: keeper})


def clean(environment: os._Environ[str] | dict[str, str], state: str | None) -> None:
    """Nothing that a client set decides anything: no HACTL_*, no PYTHON*, no editor, no pager of theirs."""
    for name, value in list(environment.items()):
        if not KEPT.fullmatch(name) or not PLAIN.fullmatch(value):
            del environment[name]
    me = pwd.getpwuid(os.geteuid())
    environment.update({"HOME": me.pw_dir, "USER": me.pw_name, "LOGNAME": me.pw_name})
    environment.update({"PATH": PATH, "EDITOR": "/bin/false", "VISUAL": "/bin/false", "PAGER": "/bin/cat"})
    if state is not None:
        environment["HACTL_STATE"] = state


def log(text: str) -> None:
    """Into the host's log of log-ins, whatever becomes of it; the journal has what was done."""
    syslog.openlog("hactl-gate", syslog.LOG_PID, syslog.LOG_AUTH)
    syslog.syslog(syslog.LOG_INFO, text)
