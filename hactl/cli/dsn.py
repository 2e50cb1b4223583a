"""`hactl dsn`: what an application should connect with, and nothing it should not."""

from __future__ import annotations

import click

from hactl.cli.context import open_context
from hactl.spec.dsn import FORMS, ROLES, connection


@click.command()
@click.option("--role", type=click.Choice(ROLES), default="app", help="As whom. Default: the application.")
@click.option(
    "--format", "form", type=click.Choice(FORMS), default="uri",
    help="A libpq URI (default), libpq keywords, or a JDBC URL.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, role: str, form: str) -> None:
    """Print the connection string an application should use.

    It names the virtual IP, demands TLS and the right certificate, and notices a lost primary within seconds.
    The password is not in it: libpq reads it from the passfile that is named. It is proved, never sent, and
    only to the server whose certificate was seen (channel binding: libpq 13, pgjdbc 42.7.7, or newer).

    Example: psql "$(hactl dsn)"
    """
    context = open_context(ctx, connect=False)
    click.echo(connection(context.spec, context.site, role, form))
