"""`hactl spec`: write, check and show the spec. Nothing here needs a network or credentials."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hactl.errors import Refused, SpecError, UsageError
from hactl.view.names import some

if TYPE_CHECKING:
    from hactl.spec.model import ClusterSpec


@click.group("spec")
def command() -> None:
    """Write, check and show the spec."""


@command.command("init")
@click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="cluster.yaml"
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(file: Path, force: bool) -> None:
    """Write a commented example to FILE (cluster.yaml); - prints it.

    Example:
      hactl spec init cluster.yaml
    """
    from hactl.spec.example import EXAMPLE

    if str(file) == "-":
        click.echo(EXAMPLE, nl=False)
        return
    try:
        _write(file, EXAMPLE, force=force)
    except FileExistsError as error:
        raise Refused(f"{file} is there already", hint="another name, or --force to replace it") from error
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    click.echo(f"wrote {file}; edit it, then: hactl --spec {file} spec check", err=True)


def _write(file: Path, text: str, *, force: bool) -> None:
    """All or nothing, and never over a file that somebody made meanwhile, unless `force`."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as temporary:
            temporary.write(text)
            os.fchmod(temporary.fileno(), 0o644)  # a group-writable spec would be refused, whatever the umask
        if force:
            os.replace(name, file)  # noqa: PTH105 - beside os.link, which pathlib spells backwards
        else:
            os.link(name, file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()


@command.command("check")
@click.argument("file", required=False)
@click.pass_context
def check(ctx: click.Context, file: str | None) -> None:
    """Say everything that is wrong with the spec (or with FILE); exit code 2 when something is.

    Example:
      hactl spec check cluster.yaml
    """
    from hactl.cli import specfile
    from hactl.cli.output import emit

    options = ctx.find_root().obj
    source = specfile.locate(file or options["spec"])
    try:
        spec = _load(source)
    except SpecError as error:
        if options["output"] != "table":
            problems = [vars(problem) for problem in error.problems]
            emit({"source": str(source), "valid": False, "problems": problems}, options["output"])
        raise
    if options["output"] != "table":
        emit({"source": str(source), "valid": True, "problems": []}, options["output"])
        return
    nodes = some(f"{name} ({'+'.join(node.roles)})" for name, node in spec.nodes.items())
    click.echo(f"{source} is good: cluster {spec.cluster}, {len(spec.nodes)} nodes: {nodes}")


@command.command("schema")
@click.pass_context
def schema(ctx: click.Context) -> None:
    """Print the spec's JSON Schema, for editors.

    Example:
      hactl spec schema >hactl-schema.json
    """
    from hactl.cli.output import emit
    from hactl.spec import schema as schemas

    emit(schemas.schema(), "yaml" if ctx.find_root().obj["output"] == "yaml" else "json")


@command.command("show")
@click.pass_context
def show(ctx: click.Context) -> None:
    """Print the spec as it takes effect, defaults included; -o yaml reads back as the same spec.

    Example:
      hactl spec show -o yaml
    """
    from hactl.cli import specfile
    from hactl.cli.output import emit

    options = ctx.find_root().obj
    spec = _load(specfile.locate(options["spec"]))
    whole = spec.model_dump(mode="json")
    if options["output"] != "table":
        emit(whole, options["output"])
        return
    said = dict(_flat(spec.model_dump(mode="json", exclude_unset=True)))
    rows = [(path, value, "" if path in said else "default") for path, value in _flat(whole)]
    width = max(len(path) for path, _, _ in rows)
    for path, value, origin in rows:
        click.echo(f"{path:<{width}}  {value:<26}  {origin}".rstrip())


def _load(source: Path) -> ClusterSpec:
    from hactl.cli import specfile
    from hactl.spec.load import load

    return load(specfile.read(source), str(source))


def _flat(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """A nested mapping as (dotted path, text) pairs; a list, or an empty mapping, is one value."""
    from hactl.spec.shown import dotted

    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _flat(value, (*path, key))
    elif isinstance(data, list):
        yield dotted(path), ", ".join(_text(entry) for entry in data) or "(none)"
    else:
        yield dotted(path), _text(data)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(entry)}" for key, entry in value.items()) or "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
