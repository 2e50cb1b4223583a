"""All offers to all endpoints: endpoints beside each other, the offers to one after each other."""

from __future__ import annotations

import dataclasses
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hactl.adapters import tls_foreign
from hactl.adapters.tls_offer import OLD, VERSIONS, WITHIN, Caller, Credentials, Pair, can_offer, context
from hactl.adapters.tls_talk import Titles
from hactl.view.tls import Endpoint, Offer, Outcome, Seen, Speaks

AT_ONCE: Final = 8
AGAIN_AFTER: Final = 1.0  # seconds; what gave no answer is asked once more


@dataclass(frozen=True)
class Files:
    """Where the certificates of one CA lie; those that are not there are not used."""

    ca: Path
    own: Pair
    expired: Pair


@dataclass(frozen=True)
class Client:
    """Who calls: for DICOM with certificates of its own CA. `folder`: for what lives as long as the check."""

    cluster: Files
    dicom: Files
    titles: Titles
    folder: Path
    within: float = WITHIN


def callers(client: Client) -> dict[bool, Caller]:
    """For DICOM (True) and for all else. Raises OSError: the folder takes nothing."""
    foreign = tls_foreign.make(client.folder, "hactl")
    return {dicom: _caller(client, files, foreign) for dicom, files in _kinds(client).items()}


def _kinds(client: Client) -> dict[bool, Files]:
    return {False: client.cluster, True: client.dicom}


def _caller(client: Client, files: Files, foreign: Pair) -> Caller:
    credentials = Credentials(files.ca, _there(files.own), foreign, _there(files.expired))
    made: dict[Offer, ssl.SSLContext | str] = {
        offer: context(offer, credentials) for offer in Offer if offer is not Offer.PLAIN
    }
    for offer in VERSIONS:
        if isinstance(made[offer], ssl.SSLContext) and (why := can_offer(offer, credentials)):
            made[offer] = why
    return Caller(made, client.titles, client.within)


def _there(pair: Pair) -> Pair | None:
    return pair if pair.cert.exists() and pair.key.exists() else None


def can(made: Mapping[bool, Caller]) -> dict[str, bool]:
    """Which of the old versions this machine really offers: without them a refusal would prove nothing."""
    return {str(o): all(isinstance(c.contexts[o], ssl.SSLContext) for c in made.values()) for o in OLD}


def _offered(caller: Caller, endpoint: Endpoint, offers: Sequence[Offer]) -> dict[Offer, Seen]:
    """Where no connection comes about there is no second try: a dead host costs one wait, not ten."""
    found: dict[Offer, Seen] = {}
    lost: Seen | None = None
    for offer in offers:
        found[offer] = dataclasses.replace(lost, offer=offer) if lost else caller.call(endpoint, offer)
        lost = lost or (None if found[offer].reached else found[offer])
    return found


def run(
    made: Mapping[bool, Caller],
    offers: Mapping[Endpoint, Sequence[Offer]],
    sleep: Callable[[float], None] = time.sleep,
) -> dict[Endpoint, list[Seen]]:
    """What each endpoint made of its offers. Never raises for what a server does."""

    def ask(endpoint: Endpoint) -> list[Seen]:
        caller = made[endpoint.speaks is Speaks.DICOM]
        found = _offered(caller, endpoint, offers[endpoint])
        open_ = [o for o, s in found.items() if s.outcome is Outcome.UNKNOWN]
        if open_:
            sleep(AGAIN_AFTER)
            found |= _offered(caller, endpoint, open_)
        return list(found.values())

    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="tls-check") as pool:
        return dict(zip(offers, pool.map(ask, offers), strict=True))
