"""The spec as JSON Schema, for editors: completion, and a mark under what is wrong."""

from __future__ import annotations

from typing import Any

from hactl.spec.model import ClusterSpec


def schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12. Rules between values are not in it: `hactl spec check` knows those."""
    found = _closed(ClusterSpec.model_json_schema(mode="validation"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": "hactl cluster.yaml"}


def _closed(part: Any) -> Any:
    """Say that no other names are allowed where names have a pattern; pydantic's schema does not."""
    if isinstance(part, list):
        return [_closed(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    closed = {key: _closed(value) for key, value in part.items()}
    return {**closed, "additionalProperties": False} if "patternProperties" in closed else closed
