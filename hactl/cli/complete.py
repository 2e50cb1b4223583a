"""What a shell may offer for an argument: nodes, health codes, faults, labs. Never waits, never complains.

A parameter is known by what it is called (`node`, `code`, …) or by its metavar, so every command has it that
names its arguments as the others do. Nothing here touches the network, and a spec that cannot be read offers
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from hactl.errors import HactlError

Offer = Callable[[click.Context], Iterable[str]]
if TYPE_CHECKING:
    Text = click.ParamType[str]
else:  # older ones are no generic type
    Text = click.ParamType


class Word(Text):
    """A text like any other; `offer` says what it usually is."""

    def __init__(self, name: str, offer: Offer) -> None:
        self.name = name
        self._offer = offer

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return click.STRING.convert(value, param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        taken = ctx.params.get(param.name or "") if param.nargs == -1 or param.multiple else ()
        try:
            offered = list(self._offer(ctx))
        except (HactlError, OSError, ValueError):
            return []
        return [CompletionItem(o) for o in offered if o.startswith(incomplete) and o not in (taken or ())]


class FileName(Text):
    """A text that names a file: the shell completes it."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return click.STRING.convert(value, param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


def nodes(ctx: click.Context) -> Iterable[str]:
    """Of the spec that the command would use; behind `hactl lab`, of the lab's. Read as plain YAML: quick."""
    import yaml

    from hactl.cli import specfile

    text = specfile.read(_spec_of(ctx))
    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - it is safe
    except yaml.YAMLError:
        return []
    spec = found if isinstance(found, dict) else {}
    archive = spec.get("archive")
    servers = archive.get("servers") if isinstance(archive, dict) else None
    return [str(name) for part in (spec.get("nodes"), servers) if isinstance(part, dict) for name in part]


def _spec_of(ctx: click.Context) -> Path:
    from hactl.cli import specfile

    root = ctx.find_root()
    if "lab" not in _path(ctx):
        return specfile.locate(root.params.get("spec_file"))
    chosen = ctx.params.get("name")
    found = [lab for lab in labs(ctx) if not chosen or lab == chosen]
    return specfile.LABS / found[0] / "cluster.yaml" if len(found) == 1 else specfile.locate(None)


def _path(ctx: click.Context) -> set[str]:
    return {ctx.info_name or ""} | (_path(ctx.parent) if ctx.parent else set())


def labs(_: click.Context) -> list[str]:
    from hactl.cli import specfile

    return sorted(path.parent.name for path in specfile.LABS.glob("*/lab.json"))


def codes(_: click.Context) -> Iterable[str]:
    from hactl.decide.codes import CODES

    return CODES


def faults(_: click.Context) -> Iterable[str]:
    from hactl.lab.faults import FAULTS, FAULTS_WITH

    return [*FAULTS, *FAULTS_WITH]


def scenarios(_: click.Context) -> Iterable[str]:
    from hactl.drill.scenarios import ALL

    return [scenario.name for scenario in ALL]


def uses(_: click.Context) -> Iterable[str]:
    from hactl.pki.uses import USE_NAMES

    return USE_NAMES


NODE = Word("node", nodes)
LAB = Word("lab", labs)
# The name of a parameter, or its metavar -> what it is.
KNOWN: dict[str, Text] = {
    "node": NODE,
    "nodes": NODE,
    "NODE": NODE,
    "code": Word("code", codes),
    "CODE": Word("code", codes),
    "scenarios": Word("scenario", scenarios),
    "USE": Word("use", uses),
    "FILE": FileName(),
    "PATH": FileName(),
}
LABS_OWN: dict[str, Text] = {**KNOWN, "kind": Word("fault", faults), "word": NODE, "name": LAB}


def completing(command: click.Command, known: dict[str, Text] | None = None) -> click.Command:
    """Give a command, and all below it, what a shell may offer for its parameters."""
    known = known or (LABS_OWN if command.name == "lab" else KNOWN)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            completing(inner, known)
    for parameter in command.params:
        if parameter.type is click.STRING:
            called = (parameter.metavar or "", parameter.name or "")
            parameter.type = next((known[word] for word in called if word in known), parameter.type)
    return command
