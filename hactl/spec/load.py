"""YAML text -> ClusterSpec, or every problem in it at once."""

from __future__ import annotations

import yaml
from pydantic import ValidationError

from hactl.errors import Problem, SpecError
from hactl.spec.model import ClusterSpec


def load(text: str, source: str) -> ClusterSpec:
    """The spec in `text`; `source` is the file's name, for messages.

    Raises:
        SpecError: with all problems found.

    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(source, [Problem("", "", f"this is not YAML: {error}")]) from error
    try:
        return ClusterSpec.model_validate(document)
    except ValidationError as error:
        problems = [Problem(".".join(map(str, e["loc"])), "", e["msg"]) for e in error.errors()]
        raise SpecError(source, problems) from error
