"""Where this hactl finds its own credentials: an operator's state folder, a lab's, or a node's /etc/hactl."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

NODE_ETC = Path("/etc/hactl")  # what `hactl deploy` fills on a node
ROOT_STATE = Path("/var/lib/hactl/clusters")
LAB_FILE = "lab.json"  # lies beside the spec of a lab and of nothing else


@dataclass(frozen=True)
class Site:
    """Paths of the credentials. They need not exist: `hactl pki init` and `hactl deploy` make them.

    `state` is the operator's 0700 folder (on a node /etc/hactl); `cert` and `key` are the client certificate
    ("ops" for an operator, "hactl" on a node); `lab` is the lab's folder when the spec is a lab's.
    `spare`: another client certificate and its key, where the first is not believed.
    """

    state: Path
    ca: Path
    cert: Path
    key: Path
    pgpass: Path
    known_hosts: Path
    ssh_key: Path | None
    on_node: bool
    lab: Path | None
    spare: tuple[Path, Path] | None = None


def find(
    spec_file: Path,
    cluster: str,
    *,
    environ: Mapping[str, str] | None = None,
    node_etc: Path = NODE_ETC,
) -> Site:
    """The site of a spec file: $HACTL_STATE, else the lab's, else the node's, else the user's own."""
    env = os.environ if environ is None else environ
    spec_file = spec_file.absolute()
    lab = _lab_of(spec_file)
    if chosen := env.get("HACTL_STATE"):
        return _operators(Path(chosen).absolute(), lab)
    if lab is not None:
        return _operators(lab / "state", lab)
    # os.path answers False where pathlib raises: a user who may not look into /etc/hactl/pki is no node.
    keys = (node_etc / "pki" / name for name in ("hactl.key", "hactl-spare.key"))
    if spec_file == node_etc / "cluster.yaml" and any(map(os.path.exists, keys)):
        return _nodes(node_etc)
    return _operators(_default_state(cluster, env), lab)


def _lab_of(spec_file: Path) -> Path | None:
    """The spec's folder if a lab made it. A stranger's lab.json does not count: it would choose our state."""
    try:
        owner = (spec_file.parent / LAB_FILE).stat().st_uid
    except OSError:
        return None
    return spec_file.parent if owner in {0, os.geteuid()} else None


def _default_state(cluster: str, env: Mapping[str, str]) -> Path:
    if os.geteuid() == 0:
        return ROOT_STATE / cluster
    base = env.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "hactl" / cluster


def _operators(state: Path, lab: Path | None) -> Site:
    return Site(
        state=state,
        ca=state / "ca" / "ca.crt",
        cert=state / "certs" / "ops" / "ops.crt",
        key=state / "certs" / "ops" / "ops.key",
        pgpass=state / "pgpass",
        known_hosts=state / "known_hosts",
        ssh_key=state / "ssh" / "id_ed25519",
        on_node=False,
        lab=lab,
    )


def _nodes(etc: Path) -> Site:
    return Site(
        state=etc,
        ca=etc / "pki" / "ca.crt",
        cert=etc / "pki" / "hactl.crt",
        key=etc / "pki" / "hactl.key",
        pgpass=etc / "pgpass",
        known_hosts=etc / "known_hosts",
        ssh_key=None,
        on_node=True,
        lab=None,
        spare=(etc / "pki" / "hactl-spare.crt", etc / "pki" / "hactl-spare.key"),
    )
