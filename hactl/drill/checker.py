"""Judges a drill: from what clients saw and what the tables hold afterwards, which promises were broken.

Pure: a history can be judged again years later. Every finding names its evidence. A promise that could not be
judged (nothing acknowledged, no table read) is a finding too: silence proves nothing.

    I1  one writer: no two instances acknowledged, or said they are writable while clients could reach them
        at the virtual IP, in overlapping spans of time
    I2  a VIP is on at most one reachable node, and at most one answers for it by ARP; the archive's, which
        has no lease, on two for 3 s at most
    I3  every acknowledged row is there exactly once, in its client's order; no row that surely failed
    I4  one system, timelines only grow, and no two nodes share one
    I5  a read through the VIP sees every row that was acknowledged before it asked
    I6  the outage, measured by new connections, is within its limit (when one is given)
    I7  both nodes hold the same rows; every acknowledged image can be fetched, its pixels unchanged
    I8  hactl did what the fault asks for, and nothing else (needless.py)
    I10 the journal tells everything that was seen, and nothing else (audit.py)

I9, no wall clock in decisions, is a matter of the code: tests/unit/test_no_wall_clock.py.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from operator import attrgetter

from hactl.drill.audit import audited
from hactl.drill.covered import asked_by_arp, enough, looked_at, sound, wrote_inside
from hactl.drill.finding import SHOWN, Finding, some
from hactl.drill.history import (
    Answered,
    Asked,
    Claim,
    Event,
    Glance,
    Journaled,
    Look,
    Outcome,
    Pictures,
    Read,
    Row,
    Server,
    Sound,
    Store,
    Table,
    Write,
)
from hactl.drill.holders import ANSWERED, by_mac, one_holder
from hactl.drill.needless import needless
from hactl.drill.outage import Outage, archive_outage, outage
from hactl.drill.reads import reads_fresh, stalest

UNSAID = "could not be judged: the history says nothing about it"
ROWS_ALONE = Finding(
    "I1", "judged by acknowledged rows: nobody could ask the nodes whether they are writable"
)
LOOKED = 0.3  # seconds; a look at the VIPs this near to a claim says whether clients could reach the node


@dataclass(frozen=True)
class Judgment:
    """`counts` says how much was looked at: a verdict about three rows is worth little.

    `remarks` break no promise: what clients could not reach. `silent`: promises about which this history
    says nothing. `staleness_ms`: of the stalest read, 0 when none was stale, None when nobody read.
    """

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    outage: Outage | None
    remarks: tuple[Finding, ...] = ()
    silent: tuple[str, ...] = ()
    staleness_ms: int | None = None

    @property
    def clean(self) -> bool:
        return not self.findings


def judged(events: Sequence[Event]) -> Judgment:
    """Of a history that has in it what was found afterwards: anyone can judge it again."""
    tables = {e.node: e.rows for e in events if isinstance(e, Table)}
    images = next((e.found for e in events if isinstance(e, Pictures)), None)
    return judge(events, tables, images=images)


def judge(
    events: Sequence[Event],
    tables: Mapping[str, Sequence[Row]],
    *,
    images: Mapping[str, str] | None = None,
    limit: float | None = None,
) -> Judgment:
    """The verdict.

    `tables`: node -> the rows of this run that stand there. `images`: SOP instance UID -> SHA-256 of the
    pixels that came back. `limit`: longest allowed outage, seconds; None: as the history says, if it does.
    """
    events = named(events)
    stores = [e for e in events if isinstance(e, Store)]
    writes = [e for e in events if isinstance(e, Write)]
    reads = [e for e in events if isinstance(e, Read) and e.outcome is Outcome.OK]
    looks = [e for e in events if isinstance(e, Look)]
    answers = [e for e in events if isinstance(e, Answered)]
    claims = [e for e in events if isinstance(e, Claim)]
    asked = next((e for e in reversed(events) if isinstance(e, Asked)), Asked())
    seen, silent = outage(events), unsaid(events, asked)
    findings = (
        *enough(writes, tables),
        *looked_at(looks, claims, tables, asked.blind),
        *asked_by_arp(answers, wanted=asked.arp),
        *wrote_inside(writes, asked.inside),
        *one_writer([*writes, *reachable(claims, looks)]),
        *one_holder(looks),
        *one_holder(by_mac(answers), ANSWERED),
        *rows_kept(writes, tables),
        *timelines(writes, claims),
        *reads_fresh(reads, writes),
        *recovered(seen, asked.limit if limit is None else limit, asked.silence),
        *images_taken(archive_outage(events), asked.images),
        *same_rows(tables),
        *sound([e for e in events if isinstance(e, Sound)], asked.sound),
        *images_kept(stores, images),
        *needless(events, asked),
        *audited(events, compared="clocks" not in asked.blind),
        *(Finding(i, UNSAID) for i in silent if i in asked.must),
    )
    counts = Counter(str(w.outcome) for w in writes)
    counts["looks"], counts["reads"] = len(looks), len(reads)
    counts["inside"] = sum(w.outcome is Outcome.OK and bool(w.inside) for w in writes)
    counts["claims"] = sum(c.writable is not None for c in claims)
    counts["images"] = sum(s.outcome is Outcome.OK for s in stores)
    counts["rows"] = max((len(rows) for rows in tables.values()), default=0)
    briefly = (*one_holder(looks, brief=True), *one_holder(by_mac(answers), ANSWERED, brief=True))
    claimed = (f for f in one_writer([*writes, *claims]) if f not in findings)
    remarks = (
        *claimed,
        *briefly,
        *([ROWS_ALONE] if "claims" in asked.blind else []),
    )
    return Judgment(findings, dict(counts), seen, remarks, silent, stalest(reads, writes))


def unsaid(events: Sequence[Event], asked: Asked) -> tuple[str, ...]:
    """Promises that a history of clients alone, or an older one, cannot tell of."""
    kinds = {type(e) for e in events if not (isinstance(e, Read) and e.outcome is not Outcome.OK)}
    told = {
        "I2": Look in kinds or "looks" not in asked.blind,
        "I5": Read in kinds,
        "I8": Journaled in kinds and asked.acts is not None,
        "I10": Journaled in kinds and "clocks" not in asked.blind,
    }
    return tuple(invariant for invariant, found in told.items() if not found)


def named(events: Sequence[Event]) -> list[Event]:
    """Each instance by one name, the one it said most often.

    What makes an instance is its system, timeline and start. Its name is a setting, and a Patroni that takes
    over a running PostgreSQL may drop it for a moment (seen: 0.7 s); the cluster's name stands there then.
    """
    signs = [e for e in events if isinstance(e, Write | Claim) and e.server]
    said: dict[tuple[str, int, str], Counter[str]] = defaultdict(Counter)
    for sign in signs:
        if s := sign.server:
            said[s.system, s.timeline, s.started][s.node] += 1
    return [_renamed(e, said) for e in events]


def _renamed(event: Event, said: Mapping[tuple[str, int, str], Counter[str]]) -> Event:
    if not isinstance(event, Write | Claim) or event.server is None:
        return event
    s = event.server
    node = said[s.system, s.timeline, s.started].most_common(1)[0][0]
    return event if node == s.node else replace(event, server=replace(s, node=node))


def reachable(claims: Sequence[Claim], looks: Sequence[Look]) -> list[Claim]:
    """Without those of a node that was seen not to carry the database VIP, or to be cut off, at that time.

    Such a node may say that it is writable as long as it likes: nobody gets there, and without its standby it
    commits nothing. Where nobody looked, the claim stands.
    """
    glances: dict[str, list[Glance]] = defaultdict(list)
    for look in looks:
        for node, glance in look.nodes.items():
            glances[node].append(glance)
    for seen in glances.values():
        seen.sort(key=attrgetter("begin"))
    return [c for c in claims if _carried(c, glances[c.node])]


def _carried(claim: Claim, glances: Sequence[Glance]) -> bool:
    """`glances`: in the order of their begins; they were made one after the other."""
    first = bisect_left(glances, claim.begin - LOOKED, key=attrgetter("end"))
    last = bisect_right(glances, claim.end + LOOKED, key=attrgetter("begin"))
    around = glances[first:last]
    return not around or any("database" in (g.held or ()) for g in around)


Sign = Write | Claim  # that an instance took writes, at a moment between asking and answer


@dataclass(frozen=True)
class Span:
    """When one instance took writes: each time somewhere between COMMIT, or the question, and the answer.

    In between too: an instance goes back into recovery only by a restart, and is another one then.
    """

    server: Server
    first: Sign  # the earliest answer: the instance had begun by first.end
    last: Sign  # the latest asking: it had not stopped before

    @property
    def begun_by(self) -> float:
        return self.first.end

    @property
    def alive_at(self) -> float:
        return sent(self.last)


def sent(sign: Sign) -> float:
    return sign.begin if isinstance(sign, Claim) or sign.sent is None else sign.sent


def where(span: Span) -> str:
    """Who was asked is surer than what the server calls itself."""
    return next((s.node for s in (span.first, span.last) if isinstance(s, Claim)), span.server.node)


def spans(signs: Iterable[Sign]) -> list[Span]:
    """One per instance that acknowledged or claimed anything, ordered by when they began."""
    by_server: dict[Server, list[Sign]] = defaultdict(list)
    for s in signs:
        if s.server and (s.writable if isinstance(s, Claim) else s.outcome is Outcome.OK):
            by_server[s.server].append(s)
    found = [Span(s, min(ws, key=lambda w: w.end), max(ws, key=sent)) for s, ws in by_server.items()]
    return sorted(found, key=lambda span: (span.begun_by, span.alive_at))


def one_writer(signs: Iterable[Sign]) -> Iterator[Finding]:
    """I1. Spans are disjoint when all of one can have happened before all of the other: no tolerance."""
    for a, b in combinations(spans(signs), 2):
        if a.alive_at > b.begun_by and b.alive_at > a.begun_by:
            until = min(a.alive_at, b.alive_at)
            since = max(a.begun_by, b.begun_by)
            lasted = f" for at least {until - since:.3f} s" if until > since else ""
            yield Finding(
                "I1",
                f"{name(a.server)} and {name(b.server)} were both writable{lasted}",
                tuple(told(s) for span in (a, b) for s in (span.first, span.last)),
            )


def rows_kept(writes: Sequence[Write], tables: Mapping[str, Sequence[Row]]) -> Iterator[Finding]:
    """I3, on each node."""
    known = {(w.client, w.seq): w for w in writes}
    if len(known) != len(writes):
        yield Finding("I3", "the history itself has two outcomes for one row")
    for node, rows in tables.items():
        count = Counter((r.client, r.seq) for r in rows)
        acked = [w for w in writes if w.outcome is Outcome.OK]
        missing = [told(w) for w in acked if not count[w.client, w.seq]]
        twice = [f"{c} {s}: {n} times" for (c, s), n in count.items() if n > 1]
        failed = [told(w) for w in writes if w.outcome is Outcome.FAIL and count[w.client, w.seq]]
        unknown = [f"{c} {s}" for c, s in count if (c, s) not in known]
        yield from some("I3", f"acknowledged rows missing on {node}", missing)
        yield from some("I3", f"rows more than once on {node}", twice)
        yield from some("I3", f"rows on {node} that were never committed", failed)
        yield from some("I3", f"rows on {node} that nobody wrote", unknown)
        yield from some("I3", f"rows out of their client's order on {node}", list(_disorder(acked, rows)))


def _disorder(acked: Iterable[Write], rows: Sequence[Row]) -> Iterator[str]:
    """A write that began after another's answer must stand after it."""
    place = {(r.client, r.seq): r.id for r in rows}
    clients: dict[str, list[Write]] = defaultdict(list)
    for w in acked:
        if (w.client, w.seq) in place:
            clients[w.client].append(w)
    for client, mine in clients.items():
        ends = sorted(mine, key=lambda w: w.end)
        highest, done = None, 0
        for w in sorted(mine, key=lambda w: w.begin):
            while done < len(ends) and ends[done].end < w.begin:
                earlier = ends[done]
                if highest is None or place[client, earlier.seq] > place[client, highest.seq]:
                    highest = earlier
                done += 1
            if highest and place[client, highest.seq] >= place[client, w.seq]:
                yield f"{client} {w.seq} stands before {client} {highest.seq}, which was acknowledged first"


def timelines(writes: Sequence[Write], claims: Sequence[Claim] = ()) -> Iterator[Finding]:
    """I4. Who was promoted says so, also where nobody could write there."""
    order, writable = spans(writes), spans([*writes, *claims])
    systems = sorted({s.server.system for s in writable})
    if len(systems) > 1:
        yield Finding("I4", f"there are {len(systems)} different systems", tuple(systems))
    by_timeline: dict[int, dict[str, Sign]] = defaultdict(dict)
    for span in writable:
        by_timeline[span.server.timeline].setdefault(where(span), span.first)
    for number, nodes in sorted(by_timeline.items()):
        if len(nodes) > 1:
            both, seen = " and ".join(sorted(nodes)), tuple(map(told, nodes.values()))
            yield Finding("I4", f"{both} were both writable on timeline {number}", seen)
    for a, b in pairwise(order):
        if b.server.timeline < a.server.timeline:
            yield Finding(
                "I4",
                f"timeline {b.server.timeline} acknowledged after timeline {a.server.timeline}",
                (told(a.first), told(b.last)),
            )


def recovered(seen: Outage | None, limit: float | None, silence: float | None = None) -> Iterator[Finding]:
    """I6. Without a fault there is nothing to recover from."""
    if seen and seen.recovery is None:
        yield Finding("I6", "no new connection could commit after the fault")
    elif seen and seen.recovery is not None and limit is not None and seen.recovery > limit:
        yield Finding("I6", f"the outage lasted {seen.recovery:.2f} s, allowed are {limit:g} s")
    elif seen and silence is not None and seen.silence > silence:
        said = f"for {seen.silence:.2f} s nothing was acknowledged, allowed are {silence:g} s"
        yield Finding("I6", f"{said}: clients lost the service again")


def images_taken(outage: float | None, limit: float | None) -> Iterator[Finding]:
    """I6, the archive's part."""
    if limit is not None and outage is None:
        yield Finding("I6", "no image was sent, so nothing is known of the archive's outage")
    elif limit is not None and outage is not None and outage > limit:
        yield Finding("I6", f"the archive took no image for {outage:.2f} s, allowed are {limit:g} s")


def same_rows(tables: Mapping[str, Sequence[Row]]) -> Iterator[Finding]:
    """I7: rows whose outcome is unknown may be there or not, but on all nodes alike."""
    for (a, rows_a), (b, rows_b) in combinations(sorted(tables.items()), 2):
        differ = set(rows_a) ^ set(rows_b)
        if differ:
            shown = sorted(differ, key=lambda r: (r.client, r.seq))[:SHOWN]
            evidence = tuple(f"{r.client} {r.seq} id {r.id}" for r in shown)
            yield Finding("I7", f"{a} and {b} differ in {len(differ)} rows", evidence)


def images_kept(stores: Sequence[Store], images: Mapping[str, str] | None) -> Iterator[Finding]:
    acked = [s for s in stores if s.outcome is Outcome.OK]
    if acked and images is None:
        yield Finding("I7", "acknowledged images were not read back")
        return
    found = images or {}
    lost = [s.uid for s in acked if s.uid not in found]
    changed = [s.uid for s in acked if s.uid in found and found[s.uid] != s.digest]
    if lost:
        yield Finding("I7", f"{len(lost)} acknowledged images cannot be fetched", tuple(lost[:SHOWN]))
    if changed:
        yield Finding("I7", f"{len(changed)} images came back with other pixels", tuple(changed[:SHOWN]))


def name(server: Server) -> str:
    return f"{server.node} (timeline {server.timeline}, started {server.started})"


def told(w: Sign) -> str:
    if isinstance(w, Claim):
        return f"{w.node} said it is writable, asked {w.begin:.3f} s, answer {w.end:.3f} s"
    where = name(w.server) if w.server else "nobody"
    return f"{w.client} {w.seq}: {w.outcome} by {where}, COMMIT {sent(w):.3f} s, answer {w.end:.3f} s"
