"""What commands print for programs: JSON, or YAML that reads back as the same."""

from __future__ import annotations

import json
import re
from typing import Any

import click


def structured(data: Any, output: str) -> str:
    """`data` (plain dicts, lists and scalars) as `json` or `yaml`."""
    if output == "json":
        return json.dumps(data, indent=2, ensure_ascii=False)
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes `1e3` too: PyYAML takes it for text, YAML 1.2 (and so every other reader) for a number."""

    Dumper.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )
    text: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, default_flow_style=None, width=110)
    return text.rstrip("\n")


def emit(data: Any, output: str) -> None:
    """Print `data` on standard output in a form for programs."""
    click.echo(structured(data, output))
