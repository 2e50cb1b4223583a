"""What `init` makes beside certificates: passwords, pgpass, the SSH key. Each step is idempotent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hactl.pki import files, pgpass, secrets, sshkey
from hactl.spec.model import ClusterSpec


@dataclass(frozen=True)
class Made:
    """One thing that was written, and why."""

    path: Path
    why: str


def ensure_secrets(path: Path, pgpass_path: Path, spec: ClusterSpec) -> Iterator[Made]:
    """secrets.json with every password that this version knows, and the operator's pgpass."""
    existing = secrets.parse(files.read_private(path), str(path)) if path.exists() else None
    content = secrets.generate(existing, spec.database.name)
    if content != existing:
        files.write(path, secrets.dump(content), files.PRIVATE)
        yield Made(
            path, "the application's role was renamed, or passwords were missing" if existing else "passwords"
        )
    wanted = pgpass.text(spec, content["passwords"]).encode()
    if not (pgpass_path.exists() and files.read_private(pgpass_path) == wanted):
        files.write(pgpass_path, wanted, files.PRIVATE)
        yield Made(pgpass_path, "passwords for libpq")


def ensure_ssh(private: Path, cluster: str) -> Iterator[Made]:
    """The key pair; a lost public half is made again from the private one."""
    public = private.with_name(f"{private.name}.pub")
    files.ensure_folder(private.parent)
    if private.exists():
        key = sshkey.load(files.read_private(private), cluster, str(private))
    else:
        key = sshkey.generate(cluster)
        files.write(private, key.private, files.PRIVATE)
        yield Made(private, "SSH key to the nodes")
    if files.read_public(public) != key.public:
        files.write(public, key.public, files.PUBLIC)
        yield Made(public, "its public half")
