"""Nothing that a valid spec can hold breaks out of a rendered file, and nothing that a password can hold."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hactl import layout
from hactl.render import patroni
from hactl.render.all import render
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec
from tests.support import ansible_modules
from tests.support.rendered import rendered, sample, secrets
from tests.support.spec_strategy import documents, valid

PATRONI_MODULE = ansible_modules.load("hactl_patroni")
RELAXED = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
passwords = st.text(string.ascii_letters + string.digits + string.punctuation + " ", min_size=1, max_size=24)
ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+(/\d+)?")


def role(spec: ClusterSpec, node: str) -> str:
    return str(spec.nodes[node].roles[0])


def key(spec: ClusterSpec, file: RenderedFile) -> tuple[str, str]:
    return role(spec, file.node), file.path


def skeleton(content: str) -> Iterator[str]:
    """The first word of each line, which says what the line means; addresses are all the same."""
    for line in content.splitlines():
        word = line.split("#")[0].split("=")[0].split(maxsplit=1)
        if word:
            yield ADDRESS.sub("ADDRESS", word[0]).split(":")[0]


SAMPLE = sample()
KNOWN = {key(SAMPLE, f): set(skeleton(f.content)) for f in rendered()}
STRUCTURED = (".yml", ".yaml", ".json")
SQL_TEXT = re.compile(r"E?'(?:[^']|'')*'")
SQL_STEP = re.compile(r"SELECT L, L WHERE NOT \(.*\) \\gexec")
SCRIPTS = ("/dispatch", "/read-files")


@RELAXED
@given(documents())
def test_nothing_of_a_valid_spec_breaks_out_of_a_file(document: dict[str, Any]) -> None:
    spec = valid(document)
    assume(spec is not None)
    assert spec is not None
    mine = secrets(spec)
    files = render(spec, mine)
    assert {key(spec, f) for f in files} == set(KNOWN)
    for file in files:
        assert not re.search(r"[^\n\x20-\x7e]", file.content), file.path
        if file.path.endswith(SCRIPTS):
            compile(file.content, file.path, "exec")
        elif file.path.endswith(STRUCTURED):
            reads_back(spec, mine, file)
        else:
            has_known_lines_only(spec, file)


def has_known_lines_only(spec: ClusterSpec, file: RenderedFile) -> None:
    """Line by line of the kinds that the sample has, and no block opened or closed more."""
    words = {"hactl" if w == spec.ssh.user and "sudoers" in file.path else w for w in skeleton(file.content)}
    assert words <= KNOWN[key(spec, file)], file.path
    assert file.content.count("{") == file.content.count("}"), file.path
    if file.path == str(layout.ROLES_SQL):
        for step in (line for line in file.content.splitlines() if line.endswith("\\gexec")):
            assert SQL_STEP.fullmatch(SQL_TEXT.sub("L", step)), step


def reads_back(spec: ClusterSpec, mine: RenderSecrets, file: RenderedFile) -> None:
    """Structured files hold what they were made of, and nothing else."""
    if file.path == str(layout.PATRONI_CONFIG):
        assert yaml.safe_load(file.content) == patroni.local(spec, file.node, mine)
    elif file.path == str(layout.SPEC):
        assert load(file.content, "copy") == spec
    elif file.path.endswith(".json"):
        json.loads(file.content)
    else:
        assert isinstance(yaml.safe_load(file.content), dict)


_CLEAR = ("replicator", "rewind", "app", "monitor", "probe", "patroni_rest")


@RELAXED
@given(st.fixed_dictionaries(dict.fromkeys(_CLEAR, passwords)))
def test_a_password_set_by_hand_may_be_any_printable_text(chosen: dict[str, str]) -> None:
    mine = RenderSecrets(orthanc_admin="a", orthanc_ops="b", bmc="c", scram=secrets(SAMPLE).scram, **chosen)
    by_path = {(f.node, f.path): f.content for f in render(SAMPLE, mine)}
    text = by_path["db1", str(layout.PATRONI_CONFIG)]
    assert PATRONI_MODULE.login(text) == f"hactl:{chosen['patroni_rest']}"
    config = yaml.safe_load(text)
    assert config["postgresql"]["authentication"]["rewind"]["password"] == chosen["rewind"]
    lines = by_path["arc1", str(layout.PGPASS)].splitlines()
    assert len(lines) == 3 * 3
    assert all(line.startswith("192.0.2.") for line in lines)
    assert {unescape(line) for line in lines} == {chosen["monitor"], chosen["probe"], chosen["app"]}


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
