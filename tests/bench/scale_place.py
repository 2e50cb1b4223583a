"""A made-up installation of many archive nodes on loopback: addresses, certificates, the spec."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Final

from hactl import layout
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from tests.support.specs import sample
from tests.support.tls import TestCa

ME: Final = "wit1"  # where the controller runs
SSH: Final = 2222
_NET: Final = "127.100"
_HOSTS: Final = {"db1": 11, "db2": 12, "wit1": 13}
# What is wrong with a faulty node, in turns; `slow` is slow and in time, so it is to stay healthy.
FAULTS: Final = ("hang", "error", "refuse", "late", "slow")
BAD: Final = frozenset(FAULTS) - {"slow"}


@dataclass(frozen=True)
class Place:
    """`faulty` of the `count` nodes misbehave. Every process of a measurement makes the same from these."""

    folder: Path
    count: int
    faulty: int

    @property
    def archives(self) -> tuple[str, ...]:
        return tuple(f"arc{number}" for number in range(1, self.count + 1))

    def faults(self) -> dict[str, str]:
        """By node, evenly spread; the others do as they should."""
        step = self.count / max(1, self.faulty)
        chosen = [self.archives[int(number * step + step / 2)] for number in range(self.faulty)]
        return {node: FAULTS[number % len(FAULTS)] for number, node in enumerate(chosen)}

    def address(self, node: str) -> str:
        if node in _HOSTS:
            return f"{_NET}.0.{_HOSTS[node]}"
        number = int(node.removeprefix("arc")) - 1
        return f"{_NET}.{1 + number // 200}.{1 + number % 200}"

    def spec(self) -> ClusterSpec:
        """The sample with more archive nodes; a copy, not validated: loopback addresses are no machine's."""
        one = sample()
        voters = {
            n: one.nodes[n].model_copy(update={"address": IPv4Address(self.address(n))}) for n in _HOSTS
        }
        like = one.nodes["arc1"]
        many = {n: like.model_copy(update={"address": IPv4Address(self.address(n))}) for n in self.archives}
        database, archive = (
            vip.model_copy(update={"address": IPv4Interface(f"{_NET}.0.{host}/16")})
            for vip, host in ((one.vips.database, 100), (one.vips.archive, 101))
        )
        return one.model_copy(
            update={
                "nodes": {**voters, **many},
                "vips": one.vips.model_copy(update={"database": database, "archive": archive}),
                "ssh": one.ssh.model_copy(update={"port": SSH}),
                "fencing": one.fencing.model_copy(update={"agents": {}}),
            }
        )

    def site(self) -> Site:
        pki = self.folder / "pki"
        return Site(
            state=self.folder, ca=pki / "ca.crt", cert=pki / "hactl.crt", key=pki / "hactl.key",
            pgpass=self.folder / "pgpass", known_hosts=self.folder / "known_hosts", ssh_key=None,
            on_node=True, lab=None,
        )  # fmt: skip

    def make(self) -> None:
        """Certificates as an installation has them: two CAs, for each node and use one of its own."""
        for name in ("pki", "dicom", "state"):
            (self.folder / name).mkdir(parents=True)
        cluster, dicom = TestCa(self.folder / "pki"), TestCa(self.folder / "dicom", "dicom")
        voters = [self.address(node) for node in _HOSTS]
        for name in ("hactl", "metrics", "etcd"):
            cluster.issue(name, [*voters, "127.0.0.1", *_HOSTS])
        own = dicom.issue("dicom", voters)
        for source, name in (
            (dicom.crt, layout.DICOM_CA.name),
            (own.cert, "dicom.crt"),
            (own.key, "dicom.key"),
        ):
            shutil.copy(source, self.folder / "pki" / name)
        for node in self.archives:
            cluster.issue(node, [self.address(node)])
            dicom.issue(node, [self.address(node)])
