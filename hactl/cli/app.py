"""The command line: imports a command's module only when it is called; every error ends in an exit code."""

from __future__ import annotations

import importlib
import io
import os
import select
import sys
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from hactl import __version__
from hactl.cli import boundary
from hactl.cli.common import OUTPUTS, log_to_stderr, with_common_options
from hactl.cli.complete import FileName, completing
from hactl.cli.gatekeeper import guarded
from hactl.cli.help_text import readable
from hactl.errors import HactlError, Unreachable

# command -> (module, one line of help). Start-up time is a budget: help must not import what it lists.
COMMANDS: dict[str, tuple[str, str]] = {
    "agent": ("hactl.cli.agent", "What runs on every node: fencing lease, orders, facts."),
    "access": ("hactl.cli.access", "Who may do what: people, their SSH keys, their sudo rules."),
    "approve": ("hactl.cli.approve", "Approve what another person waits with; list what waits."),
    "archive": ("hactl.cli.archive", "The archive nodes: state, drain, restart; are the images whole?"),
    "completion": ("hactl.cli.completion", "Let bash, zsh or fish complete commands, nodes and codes."),
    "config": (
        "hactl.cli.config",
        "The configuration: files, Patroni, what runs; edit it, look who did, go back.",
    ),
    "controller": ("hactl.cli.controller", "Watch the cluster, decide, act: one of several does."),
    "demo": ("hactl.cli.demo", "Lab, deployment, images, power loss and recovery, live."),
    "deploy": ("hactl.cli.deploy", "Bring every node to what the spec says."),
    "doctor": ("hactl.cli.doctor", "Check every precondition; say why it matters and what to do."),
    "drill": ("hactl.cli.drill", "Faults on purpose: run under load, judged, reported."),
    "dsn": ("hactl.cli.dsn", "Print the connection string an application should use."),
    "etcd": ("hactl.cli.etcd", "What etcd's members say of themselves; give unused space back."),
    "failover": ("hactl.cli.failover", "Fail over by hand; why the controller would now, or not."),
    "gate": ("hactl.cli.gate", "What people's SSH keys and sudo rules run: one command, as far as they may."),
    "history": ("hactl.cli.history", "What happened, and how long it took."),
    "incident": ("hactl.cli.incident", "Incidents, phase by phase."),
    "journal": ("hactl.cli.journal", "What hactl announced, did and saw; verify that nobody changed it."),
    "lab": ("hactl.cli.lab", "The whole installation on one machine, with faults on purpose."),
    "man": ("hactl.cli.man", "Manual pages: print one, or write all of them."),
    "mute": ("hactl.cli.mute", "Hear nothing of a health code for a while; it ends by itself."),
    "node": ("hactl.cli.node", "Nodes: show, logs, restart, stop, maintenance, rejoin, fence."),
    "pause": ("hactl.cli.pause", "hactl's hands off for a while; it ends by itself."),
    "pki": ("hactl.cli.pki", "The cluster's certificates and secrets."),
    "plan": ("hactl.cli.plan", "What the controller would do now."),
    "resume": ("hactl.cli.resume", "End a pause."),
    "spec": ("hactl.cli.spec", "Write, check and show the spec."),
    "status": ("hactl.cli.status", "The whole on one screen: verdict and reasons first."),
    "switchover": ("hactl.cli.switchover", "Give the primary's role to the standby, both healthy."),
    "tls": ("hactl.cli.tls", "What the ports refuse, tried out: old TLS, strangers, no certificate."),
    "unmute": ("hactl.cli.unmute", "Hear of a health code again."),
    "vip": ("hactl.cli.vip", "The virtual IPs: who has them, who may."),
    "version": ("hactl.cli.version", "Print the version."),
}


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own, each with a click command named `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return guarded(readable(completing(with_common_options(found))), cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """From the table: a shell that waits for a word must not import every command."""
        offered = [CompletionItem(n, help=said) for n, (_, said) in sorted(COMMANDS.items())]
        named = [item for item in offered if item.value.startswith(incomplete)]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> object:
        """Tell a reader that went away (`hactl ... | head`) from a connection that broke."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            if _reader_has_gone():
                raise click.exceptions.Exit(141) from error  # 128 + SIGPIPE
            raise Unreachable("a connection broke", hint="try again; -v says more") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hactl")
@click.option(
    "--spec",
    "spec_file",
    metavar="FILE",
    type=FileName(),
    envvar="HACTL_SPEC",
    help="The spec. Default: $HACTL_SPEC, ./cluster.yaml, /etc/hactl/cluster.yaml, the lab's.",
)
@click.option(
    "-o", "--output", type=click.Choice(OUTPUTS), default="table", help="How to print what is asked for."
)
@click.option("-v", "--verbose", count=True, help="Say more on standard error; twice for everything.")
@click.pass_context
def root(ctx: click.Context, spec_file: str | None, output: str, verbose: int) -> None:
    """Keep a medical image archive up: database pair, virtual IPs, archive nodes."""
    ctx.ensure_object(dict).update({"spec": spec_file, "output": output, "verbose": verbose})
    log_to_stderr(verbose)


def _reader_has_gone() -> bool:
    """Whether nobody reads our standard output now. If so, it becomes /dev/null: Python flushes at exit."""
    try:
        out = sys.stdout.fileno()
        sys.stdout.flush()
    except BrokenPipeError:
        gone = True
    except (OSError, ValueError):  # captured by a test, or closed
        return False
    else:
        watch = select.poll()
        watch.register(out, 0)
        gone = any(event & select.POLLERR for _, event in watch.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out)
    return gone


def main(argv: list[str] | None = None, options: dict[str, object] | None = None) -> NoReturn:
    """Run a command; end with its exit code. HactlError: its own code; anything not foreseen is a bug: 1.

    `options`: what holds for the whole call besides, as the gatekeeper.
    """
    options = {} if options is None else options
    if isinstance(sys.stdout, io.TextIOWrapper):  # a sign that the terminal's encoding lacks is no bug
        sys.stdout.reconfigure(errors="replace")
    try:
        # Without standalone mode, click returns what the command returned, or the code given to ctx.exit().
        code = root.main(
            args=argv, prog_name="hactl", standalone_mode=False, obj=options, color=boundary.colour()
        )
        if _reader_has_gone():
            code = 141
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("hactl: interrupted", err=True)
        code = 130
    except HactlError as error:
        boundary.report(error)
        code = error.exit_code
    except Exception as error:  # noqa: BLE001 - the one place where everything is caught
        code = 2 if _is_missing_extra(error) else 1
        if code == 1:
            boundary.report_bug(error, verbose=_as_int(options.get("verbose")))
    sys.exit(_as_int(code))


def _is_missing_extra(error: Exception) -> bool:
    return isinstance(error, ModuleNotFoundError) and boundary.report_missing(error)


def _as_int(value: object) -> int:
    return value if isinstance(value, int) else 0
