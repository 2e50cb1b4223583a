"""The command line: finds a command's module only when it is called, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from hactl import __version__
from hactl.errors import HactlError, Refused, SpecError

# command -> (module, one line of help). Modules are imported when their command is called: start-up time is a budget.
COMMANDS: dict[str, tuple[str, str]] = {
    "config": ("hactl.cli.config", "Render the configuration files of all nodes, compare them with what is there."),
    "deploy": ("hactl.cli.deploy", "Bring every node to what the spec says."),
    "doctor": ("hactl.cli.doctor", "Check every precondition; say why it matters and what to do."),
    "dsn": ("hactl.cli.dsn", "Print the connection string an application should use."),
    "lab": ("hactl.cli.lab", "The whole installation on one machine, with faults on purpose."),
    "pki": ("hactl.cli.pki", "The cluster's certificates and secrets."),
    "spec": ("hactl.cli.spec", "Write, check and show the spec."),
    "status": ("hactl.cli.status", "The whole on one screen: verdict and reasons first."),
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
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hactl")
@click.option("--spec", "spec_file", metavar="FILE", envvar="HACTL_SPEC", help="The spec. Default: ./cluster.yaml, /etc/hactl/cluster.yaml, the lab's.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", help="How to print what is asked for.")
@click.option("-v", "--verbose", count=True, help="Say more on standard error; twice for everything.")
@click.pass_context
def root(ctx: click.Context, spec_file: str | None, output: str, verbose: int) -> None:
    """Keep a medical image archive up: database pair, virtual IPs, archive nodes."""
    ctx.obj = {"spec": spec_file, "output": output, "verbose": verbose}


def _report(error: HactlError) -> None:
    click.echo(f"hactl: {error.message}", err=True)
    if isinstance(error, SpecError):
        for p in error.problems:
            click.echo(f"  {p.path or '(top)'}: {p.reason}" + (f" (found {p.value})" if p.value else ""), err=True)
            if p.hint:
                click.echo(f"      {p.hint}", err=True)
    if isinstance(error, Refused):
        for veto in error.vetoes:
            click.echo(f"  - {veto}", err=True)
    if error.hint:
        click.echo(f"  next: {error.hint}", err=True)


def main(argv: list[str] | None = None) -> Any:
    """The error boundary: HactlError -> its exit code; anything else is a bug -> 1, traceback only with -v."""
    try:
        root.main(args=argv, prog_name="hactl", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("hactl: interrupted", err=True)
        sys.exit(130)
    except HactlError as error:
        _report(error)
        sys.exit(error.exit_code)
