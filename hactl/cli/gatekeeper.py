"""Whether a person may run what they typed: asked where click has parsed it, however it was written."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import click
from click.core import ParameterSource

from hactl.cli.levels import FILES, LEVELS, NEEDED, NODES_ONLY, RAISED, RAISED_ANYWHERE, Level
from hactl.errors import Refused

KEY: Final = "gatekeeper"  # in the root context's options
GIVEN: Final = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.PROMPT})
Parse = Callable[[click.Context, list[str]], list[str]]


@dataclass(frozen=True)
class Gatekeeper:
    """`spec`: the only spec this person works on; `nodes`: its nodes."""

    person: str
    level: Level
    spec: str
    nodes: frozenset[str]

    def may(self, command: str, needed: Level, what: str = "") -> None:
        """Raises Refused."""
        said = f"`hactl {command}{f' {what}' if what else ''}`"
        if needed is Level.HOST:
            raise Refused(f"{said} is not for the gate: it is run on the operator's host, by its owner")
        if needed > self.level:
            raise Refused(f"{said} needs the role {needed.word}; {self.person} has {self.level.word}")

    def command(self, name: str) -> None:
        """Before its options are read. A command without a level is refused. Raises Refused."""
        self.may(name, LEVELS.get(name, Level.HOST))

    def options(self, name: str, ctx: click.Context) -> None:
        """Raises Refused."""
        chosen = (ctx.find_root().obj or {}).get("spec")
        if chosen != self.spec:
            raise Refused("--spec is not for the gate: a person works on this installation only")
        for parameter in ctx.command.params:
            word = parameter.name or ""
            value = ctx.params.get(word)
            if ctx.get_parameter_source(word) in GIVEN and value is not None and value is not False:
                self._option(name, parameter, value)
        if (needed := NEEDED.get(name)) and not any(ctx.params.get(word) for word in needed):
            raise Refused(f"`hactl {name}` starts an editor here, which is not for the gate",
                          hint=f"hactl {name} --help")  # fmt: skip

    def _option(self, name: str, parameter: click.Parameter, value: Any) -> None:
        word = parameter.name or ""
        shown = parameter.opts[0] if isinstance(parameter, click.Option) else word.rstrip("_").upper()
        if (name, word) in FILES:
            raise Refused(f"{shown} is not for the gate: it names a file of the operator's host")
        if (name, word) in NODES_ONLY:
            values = value if isinstance(value, tuple) else (value,)
            if strangers := [str(v) for v in values if v not in self.nodes]:
                raise Refused(f"only nodes of the spec can be named here: {', '.join(strangers)}")
        level = RAISED.get((name, word), RAISED_ANYWHERE.get(word))
        if level is not None:
            self.may(name, level, shown)


def guarded(command: click.Command, *path: str) -> click.Command:
    """Have a command, and all below it, ask the gatekeeper if there is one."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            guarded(inner, *path, name)
    elif "parse_args" not in vars(command):
        vars(command)["parse_args"] = functools.partial(_parse, command.parse_args, " ".join(path))
    return command


def _parse(parse: Parse, name: str, ctx: click.Context, args: list[str]) -> list[str]:
    keeper = (ctx.find_root().obj or {}).get(KEY)
    if not isinstance(keeper, Gatekeeper):
        return parse(ctx, args)
    keeper.command(name)
    rest = parse(ctx, args)
    keeper.options(name, ctx)
    return rest
