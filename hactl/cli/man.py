"""`hactl man`: the manual pages, made from the commands themselves."""

from __future__ import annotations

from pathlib import Path

import click

from hactl.errors import UsageError


@click.command("man")
@click.argument("names", nargs=-1, metavar="[COMMAND]...")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
    help="Write all pages into this folder, which is made if it is not there.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], into: Path | None) -> None:
    r"""Print a command's manual page, or write all of them for `man` to find.

    Without a COMMAND: hactl's own page. `man` reads folders named man1 beside the programs on your path.

    \b
    Examples:
      hactl man archive drain | man -l -
      hactl man --into /usr/local/share/man/man1
    """
    from hactl.cli.help_tree import tree
    from hactl.cli.man_page import file_name, man_page

    pages = {page.path[1:]: page for page in tree(ctx.find_root().command)}
    if into is None:
        if names not in pages:
            raise UsageError(f"there is no command {' '.join(names)}", hint="hactl --help")
        click.echo(man_page(pages[names]), nl=False)
        return
    into.mkdir(parents=True, exist_ok=True)
    for page in pages.values():
        (into / file_name(page)).write_text(man_page(page), encoding="utf-8")
    click.echo(f"{len(pages)} pages in {into}", err=True)
