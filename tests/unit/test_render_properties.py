"""Nothing that a valid spec can hold breaks out of a rendered file, and nothing that a password can hold."""

from __future__ import annotations

import ast
import functools
import json
import re
import string
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hactl import layout
from hactl.render import hactl, orthanc, patroni, postgres
from hactl.render.all import Renderer, render
from hactl.render.drills import FAULT, ROWS
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec
from tests.support import ansible_modules
from tests.support.rendered import rendered, sample, secrets
from tests.support.spec_strategy import documents, valid

PATRONI_MODULE = ansible_modules.load("hactl_patroni")
LEAST = 30  # valid examples, whatever the profile
MANY = settings(
    max_examples=max(LEAST, settings().max_examples), suppress_health_check=[HealthCheck.filter_too_much]
)
passwords = st.text(string.ascii_letters + string.digits + string.punctuation + " ", min_size=1, max_size=24)
any_passwords = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+(/\d+)?")


def quick(text: str) -> Any:
    """As yaml.safe_load; ten times faster where PyYAML was built with libyaml."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe


def role(spec: ClusterSpec, node: str) -> str:
    return str(spec.nodes[node].roles[0])


def key(spec: ClusterSpec, file: RenderedFile) -> tuple[str, str]:
    return role(spec, file.node), file.path


def skeleton(spec: ClusterSpec, file: RenderedFile) -> Iterator[str]:
    """The first word of each line, which says what the line means; addresses and keys all look the same."""
    content = file.content.replace(f"/{spec.cluster}/", "/CLUSTER/").replace(f'/{file.node}")', '/NODE")')
    for line in content.splitlines():
        word = line.split("#")[0].split("=")[0].split(maxsplit=1)
        if word:
            yield ADDRESS.sub("ADDRESS", word[0]).split(":")[0]


SAMPLE = sample()
KNOWN = {key(SAMPLE, f): set(skeleton(SAMPLE, f)) for f in rendered()}
[RULES] = {f.content.partition("\n")[2] for f in rendered() if f.path == str(layout.ALERT_RULES)}
STRUCTURED = (".yml", ".yaml", ".json")
SQL_TEXT = re.compile(r"E?'(?:[^']|'')*'")
SQL_STEP = re.compile(r"SELECT L, L WHERE NOT \(.*\) \\gexec")
SOMETIMES = {str(p) for p in (layout.BMC, FAULT, ROWS)}  # not where nobody is fenced, or nothing is agreed
SCRIPTS = ("/act", "/fault", "/dispatch", "/read-files", "/ledger", "/pg-rewind", "/clone", "/clean-kept",
           "/half-rewound", "/wake")  # fmt: skip


@MANY
@given(documents())
def test_nothing_of_a_valid_spec_breaks_out_of_a_file(document: dict[str, Any]) -> None:
    spec = valid(document)
    assume(spec is not None)
    assert spec is not None
    mine = secrets(spec)
    files = render(spec, mine)
    there = {key(spec, f) for f in files}
    assert {k for k in KNOWN if k[1] not in SOMETIMES} <= there <= set(KNOWN)
    for file in files:
        assert not re.search(r"[^\n\x20-\x7e]", file.content), file.path
        if file.path.endswith(SCRIPTS):
            ast.parse(file.content, file.path)
        elif file.path == str(layout.SPEC_DIGEST):
            assert re.fullmatch(r"#.*\n[0-9a-f]{64}\n", file.content)
        elif file.path.endswith(STRUCTURED):
            reads_back(spec, mine, file)
        else:
            has_known_lines_only(spec, file)


def has_known_lines_only(spec: ClusterSpec, file: RenderedFile) -> None:
    """Line by line of the kinds that the sample has, and no block opened or closed more."""
    words = {"hactl" if w == spec.ssh.user and "sudoers" in file.path else w for w in skeleton(spec, file)}
    assert words <= KNOWN[key(spec, file)], file.path
    assert file.content.count("{") == file.content.count("}"), file.path
    if file.path == str(layout.ROLES_SQL):
        for step in (line for line in file.content.splitlines() if line.endswith("\\gexec")):
            assert SQL_STEP.fullmatch(SQL_TEXT.sub("L", step)), step


def reads_back(spec: ClusterSpec, mine: RenderSecrets, file: RenderedFile) -> None:
    """Structured files hold what they were made of, and nothing else."""
    if file.path == str(layout.PATRONI_CONFIG):
        assert quick(file.content) == patroni.local(spec, file.node, mine)
    elif file.path == str(layout.ALERT_RULES):
        assert file.content.partition("\n")[2] == RULES  # nothing of the spec is in it
    elif file.path == str(layout.SPEC):
        assert copy_of(file.content.partition("\n")[2]) == spec
    elif file.path == str(layout.ORTHANC_CONFIG):
        takes_the_spec_s_words(spec, json.loads(file.content))
    elif file.path.endswith(".json"):
        json.loads(file.content)
    else:
        assert isinstance(quick(file.content), dict)


@functools.lru_cache(1)
def copy_of(text: str) -> ClusterSpec:
    """The spec in a node's copy. Below their first lines, which are comments, the nodes' copies are equal."""
    return load(text, "copy")


def takes_the_spec_s_words(spec: ClusterSpec, config: dict[str, Any]) -> None:
    assert (config["DicomAet"], config["StorageDirectory"]) == (spec.archive.aet, spec.archive.storage)
    for name, modality in spec.archive.modalities.items():
        found = config["DicomModalities"][name]
        assert (found["AET"], found["Port"]) == (modality.aet, modality.port)


_CLEAR = ("replicator", "rewind", "monitor", "probe", "patroni_rest")
_ANY = ("app", "orthanc_admin", "orthanc_ops")  # Orthanc's and its database role's: any signs
_WITH_PASSWORDS: tuple[Renderer, ...] = (hactl.render, postgres.render, orthanc.render)


@given(st.fixed_dictionaries({**dict.fromkeys(_CLEAR, passwords), **dict.fromkeys(_ANY, any_passwords)}))
def test_a_password_set_by_hand_may_be_any_printable_text(chosen: dict[str, str]) -> None:
    mine = RenderSecrets(bmc="c", scram=secrets(SAMPLE).scram, **chosen)
    by_path = {(f.node, f.path): f.content for r in _WITH_PASSWORDS for f in r(SAMPLE, mine)}
    text = by_path["db1", str(layout.PATRONI_CONFIG)]
    assert PATRONI_MODULE.login(text) == f"hactl:{chosen['patroni_rest']}"
    config = quick(text)
    assert config["postgresql"]["authentication"]["rewind"]["password"] == chosen["rewind"]
    lines = by_path["arc1", str(layout.PGPASS)].removesuffix("\n").split("\n")
    assert len(lines) == 3 * 3
    assert all(line.startswith("192.0.2.") for line in lines)
    assert {unescape(line) for line in lines} == {chosen["monitor"], chosen["probe"], chosen["app"]}
    own = by_path["arc1", str(layout.ORTHANC_PGPASS)]
    assert own.count("\n") == 1
    assert unescape(own.removesuffix("\n")) == chosen["app"]
    users = json.loads(by_path["arc1", str(layout.ORTHANC_CONFIG)])["RegisteredUsers"]
    assert users["hactl_admin"] == chosen["orthanc_admin"]
    assert chosen["orthanc_ops"] in users.values()


def unescape(line: str) -> str:
    """The password of a pgpass line, as libpq reads it."""
    fields, escaped = [""], False
    for char in line:
        if escaped or (char not in ":\\"):
            fields[-1] += char
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            fields.append("")
    assert len(fields) == 5
    return fields[4]
