from __future__ import annotations

import click
import pytest

from hactl import __version__
from hactl.cli.app import COMMANDS, root
from hactl.cli.help_text import readable
from hactl.cli.help_tree import Block, CommandHelp, tree
from hactl.cli.man_page import EXIT_CODES, file_name, man_page
from hactl.errors import HactlError
from tests.support import docs_commands

ALL = tuple(tree(root))


@click.command()
@click.argument("node")
@click.option("--to", metavar="NODE", help="Where to.")
@click.option("--old", hidden=True)
def sample(node: str, to: str, old: str) -> None:
    r"""Do it.  And more
    of it.

    \b
    one    two
    - three

    \b
    Examples:
      hactl sample db1
      hactl sample db1 --to db2
    """


def test_a_command_s_help_as_data() -> None:
    (found,) = tree(readable(sample))
    assert found.usage == "hactl [OPTIONS] NODE"
    assert found.blocks == (Block("Do it. And more of it."), Block("one    two\n- three", literal=True))
    assert found.examples == ("hactl sample db1", "hactl sample db1 --to db2")
    assert [how for how, _ in found.options] == ["--to NODE", "--help"]
    assert found.summary == "Do it"


def test_every_command_is_there_once() -> None:
    paths = [page.path for page in ALL]
    assert len(paths) == len(set(paths))
    assert {path[1] for path in paths if len(path) > 1} == set(COMMANDS)


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_the_reference_and_the_manual_have_all_of_it(page: CommandHelp) -> None:
    where = f"commands/{page.path[1]}.md" if len(page.path) > 1 else "commands.md"
    text, manual = REFERENCE[where], man_page(page)
    assert f"# {page.name}\n" in text or len(page.path) == 1
    for how, said in page.options:
        if "--help" not in how and len(page.path) > 1:
            assert f"`{how}`" in text
            assert said in text
        assert how.replace("-", "\\-") in manual
    assert all(name.replace("-", "\\-") in manual for name, _ in page.commands)


REFERENCE = docs_commands.pages()


def test_exit_codes_are_those_of_the_errors() -> None:
    def below(kind: type[HactlError]) -> set[int]:
        return {kind.exit_code}.union(*(below(k) for k in kind.__subclasses__()))

    assert {code for code, _ in EXIT_CODES} == below(HactlError) | {0, 130}


def test_a_manual_page_gives_no_requests_by_accident() -> None:
    page = CommandHelp(
        path=("hactl", "x"), usage="hactl x", examples=(".PP",), options=(),
        blocks=(Block(".so /etc/passwd", literal=True), Block("'q \\n `-y`")),
    )  # fmt: skip
    text = man_page(page)
    assert file_name(page) == "hactl-x.1"
    assert "\n\\&.so /etc/passwd\n" in text
    assert "\n\\&'q \\en \\fB\\-y\\fR\n" in text
    assert "\n\\&.PP\n" in text
    assert f"hactl {__version__}" in text
