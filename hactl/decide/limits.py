"""The times and counts of the fast failover, in seconds. Where each comes from stands beside it."""

from __future__ import annotations

from typing import Final

MISSES: Final = 4  # looks in a row that a path must miss, one each 200 ms: with the first one 0.8 to 1 s
PATHS: Final = 3  # of the four that must fail
LOOK_AGE: Final = 1.0  # an older look at etcd decides nothing; there is one each 250 ms
SETTLE: Final = (
    0.6  # after a gap in the looks every living agent renews once (each 0.5 s) before silence counts
)
RENEWED: Final = 0.9  # a lease seen renewed within this time is a sign of life: one comes each 0.5 s
STREAMED: Final = 3.0  # the standby was seen streaming at most this long before the suspicion
MARGIN: Final = 0.3  # on top of a lease's length: drift of two clocks, and what the kernel takes
PRIME: Final = 0.3  # how long a proved failover waits for the standby to refuse the dead address
RETRY: Final = 0.7  # a transaction is tried again after this: elections of etcd end after 0.5 to 2.5 s
FENCE_RETRY: Final = 5.0  # a fence agent that ended without `off` is run again after this
POWER_AGE: Final = 30.0  # an `off` that was read longer ago says nothing of now
FENCE_START: Final = 1.0  # a fence agent is not begun later than this after it was decided
FENCE_ENDS: Final = 10.0  # no `off` of a fence agent runs longer after the release, whoever started it
POWER_RETRY: Final = 30.0  # between two tries to switch on again what was switched off
POWER_TRIES: Final = 2  # within one incident
PROOF: Final = 30.0  # without a proof by then Patroni's TTL (20 s) has acted, or the node lives
PROMOTION: Final = 30.0  # a standby that does not promote by then needs a human
CLOSE: Final = 60.0  # redundancy without a commit seen through the VIP closes an incident after this
PER_HOUR: Final = 3  # automatic failovers
FLAPS: Final = 3  # withdrawn intents within FLAP_TIME; each closes the VIP for a moment
FLAP_TIME: Final = 60.0
ETCD_MOVE: Final = 30.0  # between two moves of etcd's leader
YIELD: Final = 10.0  # between two attempts to hand control over
