"""Whatever a document holds: a valid spec, or SpecError. And a spec survives being shown and read again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hactl.cli.output import structured
from hactl.errors import Problem, SpecError
from hactl.spec.document import Document
from hactl.spec.load import check, load
from hactl.spec.model import ClusterSpec
from tests.support.specs import SAMPLE, edited

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
TEXT = SAMPLE.read_text(encoding="utf-8")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.dates()
    | st.sampled_from(
        ["192.0.2.11", "192.0.2.0/24", "database", "witness", "3s", "fence_ipmilan", "db1", "<<", "*a"]
    )
)
keys = st.text(max_size=10) | st.sampled_from(
    [
        *["cluster", "nodes", "vips", "database", "archive", "fencing", "notify", "ssh", "access", "address"],
        *[
            "roles",
            "interface",
            "router_id",
            "parameters",
            "modalities",
            "agents",
            "options",
            "webhook",
            "email",
        ],
        "[key]",
    ]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=20,
)


def dumped(document: Any) -> str:
    return str(yaml.dump(document, Dumper=DUMPER))


def read(text: str) -> ClusterSpec | None:
    """The spec, or None on SpecError with problems that all say something; any other error is let through."""
    problems: tuple[Problem, ...] = ()
    spec = None
    try:
        spec = load(text, "any.yaml")
    except SpecError as error:
        problems = error.problems
    assert (spec is None) == bool(problems)
    for problem in problems:
        assert problem.reason
        assert f"{problem.reason}{problem.path}{problem.value}{problem.hint}".isprintable()
    return spec


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    read(text)


@given(
    st.lists(
        st.sampled_from(
            [*"{}[]:,-&*!|>'\"%@`?#~<= \n\ta1", "a: ", "<<: ", "*a", "&a ", "!!int ", "- ", "\n  "]
        )
    )
)
def test_any_heap_of_yaml_signs(signs: list[str]) -> None:
    read("".join(signs))


@given(values)
def test_any_document(document: Any) -> None:
    read(dumped(document))


@given(st.dictionaries(keys, values, max_size=9))
def test_any_mapping_with_a_specs_keys(document: dict[str, Any]) -> None:
    read(dumped(document))


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Each place in a document where something stands."""
    children = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    return [
        *([path] if path else []),
        *(found for key, value in children for found in places(value, (*path, key))),
    ]


PLACES = places(edited({}))


@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=3))
def test_the_sample_with_other_values(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    document: Any = edited({})
    for path, value in changes:
        here = document
        for part in path[:-1]:
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                break
        if isinstance(here, dict):
            here[path[-1]] = copy.deepcopy(value)
    read(dumped(document))


@given(st.integers(0, len(TEXT)), st.integers(0, 20), st.text(max_size=5))
def test_the_sample_with_a_piece_replaced(start: int, length: int, piece: str) -> None:
    spec = read(TEXT[:start] + piece + TEXT[start + length :])
    if spec is not None:
        assert load(structured(spec.model_dump(mode="json"), "yaml"), "again") == spec


names = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
plain = st.text(alphabet=[chr(n) for n in range(0x20, 0x7F) if chr(n) not in "'\"\\`{}"], max_size=40)
parameter_values = (
    plain
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
)


@given(
    cluster=names,
    parameters=st.dictionaries(st.sampled_from(["work_mem", "jit", "datestyle"]), parameter_values),
    lease=st.integers(2_000_000, 30_000_000).map(lambda n: f"{n / 1000:.3f}ms"),
    options=st.dictionaries(
        names.map(lambda n: "x_" + n.replace("-", "_")), st.integers(0, 2**31 - 1) | st.booleans()
    ),
    modality=st.from_regex(r"[A-Z0-9][A-Z0-9_.-]{0,15}", fullmatch=True).filter(
        lambda aet: aet not in {"PACS", "HACTL"}
    ),
    output=st.sampled_from(["json", "yaml"]),
)
def test_show_then_load_is_the_same_spec(
    cluster: str, parameters: dict[str, Any], lease: str, options: dict[str, Any], modality: str, output: str
) -> None:
    changes = {
        "cluster": cluster,
        "database.parameters": parameters,
        "fencing.lease": lease,
        "fencing.agents.db1.options": {"ip": "198.51.100.9", **options},
        "archive.modalities.other": {"aet": modality, "address": "192.0.2.51"},
    }
    spec = check(Document(edited(changes)), "made")
    assert load(structured(spec.model_dump(mode="json"), output), "again") == spec


@pytest.mark.parametrize(
    "text",
    ["1e3", "1.0e3", ".5E-3", "0104", "1:30", "on", "~", "2026-11-22", "=", "0x1F", "<<", "- a", "a: b", ""],
)
def test_text_that_looks_like_something_else_survives(text: str) -> None:
    spec = check(Document(edited({"database.parameters.datestyle": text})), "made")
    again = load(structured(spec.model_dump(mode="json"), "yaml"), "again")
    assert again.database.parameters == {"max_connections": 200, "datestyle": text}
