"""What a finding tells its reader to type is a command that hactl has."""

from __future__ import annotations

import re

import click
import pytest

from hactl.cli.app import root
from hactl.decide.codes import CODES

COMMAND = re.compile(r"^hactl (?:-v )?([^;,]*)$")
COMMANDS = sorted(
    {
        found[1].strip()
        for code in CODES.values()
        for part in re.split(r";|&&|,", code.fix)
        if (found := COMMAND.match(part.strip().removeprefix("then ")))
    }
)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_finding_names_a_command_that_there_is(words: str) -> None:
    command: click.Command = root
    args = words.replace("{node}", "db1").split()
    context = click.Context(root)
    while isinstance(command, click.Group):
        found = command.get_command(context, args[0])
        assert found is not None, words
        command = found
        args = args[1:]
    command.make_context(words, args)


def test_there_are_such_commands() -> None:
    assert len(COMMANDS) >= 5
