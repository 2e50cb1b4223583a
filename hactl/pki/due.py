"""Judges certificates: what is there against what should be there. Pure; time is an argument."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from hactl.pki import ca
from hactl.pki.uses import CertSpec

SOON: Final = timedelta(days=30)


class State(enum.StrEnum):
    """Worst first: `show` sorts by this order."""

    MISSING = "missing"
    BROKEN = "broken"  # not readable, or the key beside it is not its own
    EXPIRED = "expired"
    EXPIRING = "expiring"
    DIFFERS = "differs"  # names or usage are not what the spec asks for
    OLD_CA = "old-ca"  # signed by a CA that is being replaced
    OK = "ok"
    UNUSED = "unused"  # nobody asks for it any more


_ORDER: Final = {state: number for number, state in enumerate(State)}
FINE: Final = frozenset({State.OK, State.UNUSED})


@dataclass(frozen=True)
class CertInfo:
    """One certificate as it is. `days_left` is rounded down, negative once expired; `why` may be empty."""

    node: str
    use: str
    cn: str
    sans: tuple[str, ...]
    state: State
    why: str = ""
    serial: str = ""
    not_after: datetime | None = None
    days_left: int | None = None

    @property
    def fine(self) -> bool:
        return self.state in FINE


@dataclass(frozen=True)
class Found:
    """What lies in the state folder for one certificate; `whole` when its own key lies beside it."""

    certificate: x509.Certificate | None
    whole: bool


def judge(
    wanted: CertSpec, found: Found | None, signer: x509.Certificate | None, now: datetime, before: timedelta
) -> CertInfo:
    """The state of one certificate; with several faults, the worst. No `signer`: its CA is still to come."""
    if found is None:
        return CertInfo(wanted.node, wanted.use, wanted.cn, wanted.sans, State.MISSING, "not issued yet")
    if found.certificate is None:
        return CertInfo(wanted.node, wanted.use, wanted.cn, wanted.sans, State.BROKEN, "not a certificate")
    state, why = _state(wanted, found.certificate, whole=found.whole, signer=signer)
    late = expiry(found.certificate, now, before)
    if late and state is not State.BROKEN:
        state, why = late
    return describe(wanted.node, wanted.use, found.certificate, now, state, why)


def _state(
    wanted: CertSpec, certificate: x509.Certificate, *, whole: bool, signer: x509.Certificate | None
) -> tuple[State, str]:
    if not whole:
        return State.BROKEN, "its key is missing or is another's"
    if why := differences(wanted, certificate):
        return State.DIFFERS, why
    if signer is None:
        return State.OLD_CA, "the CA that shall sign it is not made yet"
    if not ca.signed_by(certificate, signer):
        return State.OLD_CA, "signed by another CA than the present one"
    return State.OK, ""


def differences(wanted: CertSpec, certificate: x509.Certificate) -> str:
    """What the spec wants otherwise, as a short sentence; empty when nothing."""
    if (is_cn := ca.cn_of(certificate)) != wanted.cn:
        return f"made for {is_cn}, not {wanted.cn}"
    is_sans = set(ca.sans_of(certificate))
    parts = [f"lacks {name}" for name in wanted.sans if name not in is_sans]
    parts += [f"still names {name}" for name in sorted(is_sans.difference(wanted.sans))]
    if ca.usages_of(certificate) != (wanted.server, wanted.client):
        parts.append("has another usage")
    if ca.is_rsa(certificate) != wanted.rsa:
        parts.append("has another kind of key")
    return ", ".join(parts)


def expiry(certificate: x509.Certificate, now: datetime, before: timedelta) -> tuple[State, str] | None:
    """Expired, or will be within `before`; None otherwise."""
    left = ca.until(certificate) - now
    if left <= timedelta(0):
        return State.EXPIRED, f"since {ca.until(certificate):%Y-%m-%d}"
    if left <= before:
        return State.EXPIRING, f"on {ca.until(certificate):%Y-%m-%d}"
    return None


def describe(
    node: str, use: str, certificate: x509.Certificate, now: datetime, state: State, why: str
) -> CertInfo:
    end = ca.until(certificate)
    cn, sans, serial = ca.cn_of(certificate), ca.sans_of(certificate), f"{certificate.serial_number:x}"
    return CertInfo(node, use, cn, sans, state, why, serial, end, (end - now) // timedelta(days=1))


def worst_first(infos: Iterable[CertInfo]) -> list[CertInfo]:
    """By state, then by what ends first."""
    return sorted(infos, key=lambda i: (_ORDER[i.state], i.days_left or 0, i.node, i.use))
