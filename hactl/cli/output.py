"""What commands print for programs: JSON, or YAML that reads back as the same."""

from __future__ import annotations

import json
from typing import Any

import click


def structured(data: Any, output: str) -> str:
    """`data` (plain dicts, lists and scalars) as `json` or `yaml`."""
    if output == "json":
        return json.dumps(data, indent=2, ensure_ascii=False)
    import yaml

    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=False, default_flow_style=None, width=110)
    return text.rstrip("\n")


def emit(data: Any, output: str) -> None:
    """Print `data` on standard output in a form for programs."""
    click.echo(structured(data, output))
