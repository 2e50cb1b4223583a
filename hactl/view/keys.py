"""The names of all keys in etcd: hactl's own below /hactl/<cluster>/, Patroni's below /service/<cluster>/."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hactl import layout
from hactl.view.kv import Get

VERSION_DIGITS = 6  # of a configuration's version
SEQ_DIGITS = 16  # of a journal record's number: as text in the order of the numbers


@dataclass(frozen=True)
class Keys:
    cluster: str

    @property
    def own(self) -> str:
        return f"{layout.HACTL_NAMESPACE}/{self.cluster}/"

    @property
    def patroni(self) -> str:
        return f"{layout.ETCD_NAMESPACE}/{self.cluster}/"

    @property
    def leader(self) -> str:
        """Patroni's: its value is the name of the node that leads."""
        return f"{self.patroni}leader"

    @property
    def switchover(self) -> str:
        """Patroni's: a switchover or failover that somebody asked it for, and that is not done yet."""
        return f"{self.patroni}failover"

    @property
    def controller(self) -> str:
        return f"{self.own}controller"

    @property
    def incident(self) -> str:
        return f"{self.own}incident"

    @property
    def epoch(self) -> str:
        return f"{self.own}epoch"

    @property
    def paused(self) -> str:
        return f"{self.own}paused"

    def mute(self, code: str, subject: str = "") -> str:
        return f"{self.mutes}{code}{f'/{subject}' if subject else ''}"

    @property
    def mutes(self) -> str:
        return f"{self.own}mute/"

    def maintenance(self, node: str) -> str:
        """It stands: somebody works on this node. Under a lease, which ends it."""
        return f"{self.own}maintenance/{node}"

    @property
    def operation(self) -> str:
        """The one command that changes something by hand at this moment (docs/operations.md)."""
        return f"{self.own}operation"

    @property
    def last_operation(self) -> str:
        """The same of the last one that began."""
        return f"{self.own}last-operation"

    @property
    def scheduled(self) -> str:
        """A switchover for a later time."""
        return f"{self.own}scheduled"

    @property
    def approvals(self) -> str:
        return f"{self.own}approval/"

    def approval(self, id_: str) -> str:
        """Somebody asks a second person to approve. Under a lease, which ends it."""
        return f"{self.approvals}{id_}"

    def approved(self, id_: str) -> str:
        """The second person's answer, under the same lease."""
        return f"{self.own}approved/{id_}"

    @property
    def tls_check(self) -> str:
        """What the witness's daily check of all TLS ports came to."""
        return f"{self.own}tls-check"

    @property
    def drill(self) -> str:
        """What the last drill came to."""
        return f"{self.own}drill"

    def alive(self, node: str) -> str:
        return f"{self.own}alive/{node}"

    def mode(self, node: str) -> str:
        return f"{self.own}mode/{node}"

    def fence(self, node: str) -> str:
        return f"{self.own}fence/{node}"

    def fenced(self, node: str) -> str:
        return f"{self.own}fenced/{node}"

    def prime(self, node: str) -> str:
        return f"{self.own}prime/{node}"

    def primed(self, node: str) -> str:
        return f"{self.own}primed/{node}"

    def order(self, node: str) -> str:
        return f"{self.own}order/{node}"

    def done(self, node: str) -> str:
        return f"{self.own}done/{node}"

    def facts(self, node: str) -> str:
        return f"{self.own}facts/{node}"

    def archive_drain(self, node: str) -> str:
        """It stands: this archive node stays out of the archive VIP."""
        return f"{self.own}archive/{node}/drain"

    def archive_state(self, node: str) -> str:
        return f"{self.own}archive/{node}/state"

    def manifest(self, node: str) -> str:
        """What the node's manifest of image digests had come to: its anchor."""
        return f"{self.manifests}{node}"

    @property
    def manifests(self) -> str:
        return f"{self.own}manifest/"

    @property
    def reconciled(self) -> str:
        """Up to which timeline of the database storage and index were compared."""
        return f"{self.own}reconciled"

    @property
    def history(self) -> str:
        """Patroni's: where each timeline ended."""
        return f"{self.patroni}history"

    @property
    def config_versions(self) -> str:
        """The spec's texts, each as it was deployed: large, and looked at by people only."""
        return f"{self.own}config/version/"

    def config_version(self, number: int) -> str:
        return f"{self.config_versions}{number:0{VERSION_DIGITS}d}"

    def standby(self, node: str) -> str:
        return f"{self.own}standby/{node}"

    def recent_failover(self, epoch: int) -> str:
        return f"{self.own}recent/failover/{epoch}"

    def budget(self, node: str, rung: str, id_: str) -> str:
        return f"{self.own}budget/{node}/{rung}/{id_}"

    @property
    def journal_prefix(self) -> str:
        return f"{self.own}journal/"

    def journal(self, seq: int) -> str:
        return f"{self.journal_prefix}{seq:0{SEQ_DIGITS}d}"

    def look(self) -> tuple[Get, ...]:
        """All keys but the journal's, which are thousands, and the spec's old texts: in one transaction."""
        own, versions, journal = self.own, self.config_versions, self.journal_prefix
        return (
            Get(own, until=versions),
            Get(_behind(versions), until=journal),
            Get(_behind(journal), until=_behind(own)),
            Get(self.patroni, prefix=True),
        )

    def look_but_archives(self, voters: Iterable[str]) -> tuple[Get, ...]:
        """As `look`, without what a thousand archive nodes say and what is said of them: `of_archives`."""
        own, (archives, facts) = self.own, self.of_archives()
        return (
            Get(own, until=archives.key),
            Get(_behind(archives.key), until=self.config_versions),
            Get(_behind(self.config_versions), until=facts.key),
            *(Get(self.facts(node)) for node in voters),
            Get(_behind(facts.key), until=self.journal_prefix),
            Get(_behind(self.journal_prefix), until=_behind(own)),
            Get(self.patroni, prefix=True),
        )

    def of_archives(self) -> tuple[Get, Get]:
        """All archive nodes' drains and states, and every agent's facts."""
        return Get(f"{self.own}archive/", prefix=True), Get(self.facts(""), prefix=True)


def _behind(folder: str) -> str:
    """The first key that is not below `folder`, which ends with a slash."""
    return folder[:-1] + chr(ord("/") + 1)
