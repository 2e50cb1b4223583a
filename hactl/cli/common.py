"""Options every command has, also behind its noun: `hactl status -o json` is `hactl -o json status`."""

from __future__ import annotations

import sys
from typing import Any

import click

OUTPUTS = ["table", "json", "yaml"]


def remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Note an option for the whole call; where it was not given, what was said before the noun stays."""
    options = ctx.find_root().ensure_object(dict)
    if value is not None and parameter.name is not None:
        options[parameter.name.removeprefix("common_")] = value
    if parameter.name == "common_verbose" and value:
        log_to_stderr(value)


def with_common_options(command: click.Command) -> click.Command:
    """Add --spec, -o and -v to a command and all below it, where it has no options of these names."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            with_common_options(inner)
        return command
    if command.context_settings.get("ignore_unknown_options"):  # it hands what it does not know to a program
        return command
    taken = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
    command.params.extend(option for option in _options() if taken.isdisjoint(option.opts))
    return command


def _options() -> list[click.Option]:
    shared: dict[str, Any] = {"expose_value": False, "callback": remember, "default": None, "hidden": True}
    return [
        click.Option(["--spec", "common_spec"], metavar="FILE", **shared),
        click.Option(["-o", "--output", "common_output"], type=click.Choice(OUTPUTS), **shared),
        click.Option(["-v", "--verbose", "common_verbose"], count=True, **shared),
    ]


def log_to_stderr(verbose: int) -> None:
    """Libraries' log lines: none, with -v from information on, with -vv all."""
    import logging

    if not verbose:
        logging.getLogger().addHandler(logging.NullHandler())
        return
    logging.basicConfig(
        level=logging.DEBUG if verbose > 1 else logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
