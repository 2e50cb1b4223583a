"""Any valid spec, as hypothesis strategies: every free value takes everything that its type allows."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hactl.errors import SpecError
from hactl.spec import pg15, rules_database, types
from hactl.spec.document import Document
from hactl.spec.load import check
from hactl.spec.model import ClusterSpec

names = st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True)
sql_names = st.from_regex(r"[a-z_][a-z0-9_]{0,62}", fullmatch=True)
users = st.from_regex(r"[a-z_][a-z0-9_-]{0,31}", fullmatch=True)
interfaces = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,14}", fullmatch=True)
aets = st.from_regex(r"[A-Z0-9][A-Z0-9_.-]{0,15}", fullmatch=True)
paths = st.from_regex(r"(/[A-Za-z0-9_.-]{0,20}[A-Za-z0-9_-]){1,4}", fullmatch=True)
networks = st.builds(
    lambda net, bits: f"198.{18 + net % 2}.{net % 256 if bits == 24 else 0}.0/{bits}",
    st.integers(0, 255), st.sampled_from([16, 24]),
)  # fmt: skip
parameter_names = st.sampled_from(sorted(n for n in pg15.NAMES if not rules_database.refused(n)))
parameters = (
    st.from_regex(types.PARAMETER_TEXT.replace("{0,1000}", "{0,40}").strip("^$"), fullmatch=True)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
)
modalities = st.fixed_dictionaries({
    "aet": aets, "address": st.just("192.0.2.77"), "port": st.integers(1, 65535), "tls": st.booleans(),
})  # fmt: skip

times = st.from_regex(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", fullmatch=True)
windows = st.lists(
    st.fixed_dictionaries({"begin": times, "end": times}, optional={"days": st.just(["mon", "sun"])}),
    max_size=2,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    archives = draw(st.integers(2, 4))
    roles = ["database", "database", "witness", *["archive"] * archives]
    node_names = draw(st.lists(names, min_size=len(roles), max_size=len(roles), unique=True))
    nodes = {
        name: {"address": f"192.0.2.{11 + n}", "roles": [role]}
        for n, (name, role) in enumerate(zip(node_names, roles, strict=True))
    }
    ids = draw(st.lists(st.integers(1, 255), min_size=2, max_size=2, unique=True))
    vips = {
        name: {"address": f"192.0.2.{100 + n}/24", "interface": draw(interfaces), "router_id": ids[n]}
        for n, name in enumerate(("database", "archive"))
    }
    return {
        "cluster": draw(names),
        "nodes": nodes,
        "vips": vips,
        "database": {
            "name": draw(sql_names),
            "parameters": draw(st.dictionaries(parameter_names, parameters, max_size=4)),
        },
        "archive": {
            "aet": draw(aets),
            "storage": draw(paths),
            "modalities": draw(st.dictionaries(names, modalities, max_size=3)),
        },
        "drills": {"every": draw(st.sampled_from(["month", "never"])), "windows": draw(windows)},
        "ssh": {"user": draw(users)},
        "access": {
            "operators": draw(st.lists(networks, max_size=2)),
            "clients": draw(st.lists(networks, max_size=2)),
        },
    }


def valid(document: dict[str, Any]) -> ClusterSpec | None:
    """The spec, or None where a rule between values does not allow it."""
    try:
        return check(Document(document), "generated")
    except SpecError:
        return None
