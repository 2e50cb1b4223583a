"""Rules for what is stored, and for what several nodes share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hactl.decide.codes import Severity
from hactl.decide.lint.index import uses_postgresql
from hactl.decide.lint.model import NodesRule, Rule, Setting
from hactl.view.orthanc_config import OrthancConfig

_E, _W = Severity.ERROR, Severity.WARNING
# What may differ between nodes that are otherwise equal.
_OWN: Final = frozenset({"Name", "DatabaseServerIdentifier"})


def is_not(path: str, wanted: bool, default: bool, config: OrthancConfig) -> Iterator[str]:  # noqa: FBT001
    if config.on(path, default=default) is not wanted:
        said = "not set" if config.get(path) is None else str(config.get(path)).lower()
        yield f"{path} is {said}"


def _jobs(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if uses_postgresql(config):
        yield from is_not("SaveJobs", False, True, config)


def _no_identifier(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if uses_postgresql(config) and not config.get("DatabaseServerIdentifier"):
        yield "DatabaseServerIdentifier is not set"


def _md5(config: OrthancConfig, _: Setting) -> Iterator[str]:
    return is_not("StoreMD5ForAttachments", True, True, config)


def _compressed(config: OrthancConfig, _: Setting) -> Iterator[str]:
    return is_not("StorageCompression", False, False, config)


def _recycles(config: OrthancConfig, _: Setting) -> Iterator[str]:
    if config.get("MaximumStorageMode") == "Reject" and config.version >= (1, 11, 2):
        return
    for name in ("MaximumStorageSize", "MaximumPatientCount"):
        if (limit := config.number(name, 0)) > 0:
            yield f"{name} is {limit}"


def _overwrites(config: OrthancConfig, _: Setting) -> Iterator[str]:
    return is_not("OverwriteInstances", False, False, config)


def _not_synced(config: OrthancConfig, _: Setting) -> Iterator[str]:
    return is_not("SyncStorageArea", True, config.version >= (1, 7, 4), config)


def _same_identifier(configs: Sequence[OrthancConfig], _: Setting) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for config in configs:
        name = config.get("DatabaseServerIdentifier")
        if not isinstance(name, str) or not name:
            continue
        if name in seen:
            yield config.source, f"{name}, as {seen[name]} has it"
        seen.setdefault(name, config.source)


def _other_storage(configs: Sequence[OrthancConfig], _: Setting) -> Iterator[tuple[str, str]]:
    first = configs[0]
    for config in configs[1:]:
        mine, its = (str(c.get("StorageDirectory", "OrthancStorage")) for c in (config, first))
        if mine.rstrip("/") != its.rstrip("/"):
            yield config.source, f"{mine}; {first.source} has {its}"


def _other_config(configs: Sequence[OrthancConfig], _: Setting) -> Iterator[tuple[str, str]]:
    first = configs[0]
    for config in configs[1:]:
        if names := sorted(_differing(_shared(first), _shared(config))):
            yield config.source, f"other than {first.source}: {', '.join(names)}"


def _shared(config: OrthancConfig) -> dict[str, Any]:
    """Without what is each node's own, and without what another rule compares."""
    found = {k: v for k, v in config.values.items() if k not in _OWN | {"StorageDirectory"}}
    index = found.get("PostgreSQL")
    uri = index.get("ConnectionUri") if isinstance(index, Mapping) else None
    if isinstance(index, Mapping) and isinstance(uri, str):
        # The name under which PostgreSQL knows the connection is rightly the node's.
        parts = [p for p in uri.replace("?", "&").split("&") if not p.startswith("application_name=")]
        found["PostgreSQL"] = {**index, "ConnectionUri": parts}
    return found


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name in one.keys() | other.keys():
        mine, its = one.get(name), other.get(name)
        if isinstance(mine, Mapping) and isinstance(its, Mapping):
            yield from _differing(mine, its, f"{above}{name}.")
        elif mine != its:
            yield f"{above}{name}"


RULES: Final = (
    Rule("JOBS_SHARED", _W, "jobs are saved in the shared index",
         "Jobs belong to one node; another one that starts would take them for its own.",
         "SaveJobs: false", _jobs),
    Rule("SERVER_ID_UNSET", _W, "the node has no name of its own in the index",
         "Made of network cards and ports otherwise: another one after a change of hardware.",
         "DatabaseServerIdentifier: the node's name", _no_identifier),
    Rule("MD5_OFF", _E, "no digest is kept of what is stored",
         "A flipped bit or a cut file was served with 200, silently; without the digest nobody can find it.",
         "StoreMD5ForAttachments: true", _md5),
    Rule("STORAGE_COMPRESSED", _W, "files are compressed",
         "They are no DICOM files then: without the index they can be neither read nor taken in again, which "
         "is what saves acknowledged images whose index rows a failover lost.",
         "StorageCompression: false", _compressed),
    Rule("STORAGE_RECYCLES", _E, "the oldest patients are deleted to make room",
         "An archive never throws images away by itself.",
         "MaximumStorageSize: 0, MaximumPatientCount: 0", _recycles),
    Rule("STORAGE_OVERWRITES", _W, "a second image with the same UID replaces the first",
         "A retry, or a mistake of a modality, changes what is archived.",
         "OverwriteInstances: false", _overwrites),
    Rule("STORAGE_NOT_SYNCED", _E, "an acknowledged image may only be in memory",
         "A power cut then loses what the modality has deleted by now.",
         "SyncStorageArea: true", _not_synced),
)  # fmt: skip
NODES_RULES: Final = (
    NodesRule("SERVER_ID_SAME", _E, "two nodes have one name in the index",
              "Each overwrites the other's properties.",
              "a DatabaseServerIdentifier of its own for each node", _same_identifier),
    NodesRule("STORAGE_DIFFERS", _E, "nodes store in different folders",
              "One index, two storages: each node answers 500 for what the other one stored.",
              "the same StorageDirectory, on one shared file system", _other_storage),
    NodesRule("CONFIG_DIFFERS", _W, "nodes are configured differently",
              "What works on one fails on the other, when the virtual IP has moved.",
              "equal files but for Name, DatabaseServerIdentifier and application_name", _other_config),
)  # fmt: skip
