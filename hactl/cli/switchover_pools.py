"""What a switchover does to sessions: told before with numbers, and archives' pools asked whole afterwards.

Each connection of an Orthanc's pool ends with the old primary, and is replaced by whoever finds it dead
(adapters/archive_pool.py). So each node's index is asked right after, before its clients find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hactl.decide.sessions import Sessions, said, sessions
from hactl.errors import HactlError

if TYPE_CHECKING:
    from hactl.cli.context import Context
    from hactl.view.cluster import ClusterView
    from hactl.view.model import Probe

# By address: how many, and how many are at work. The monitoring role's own session is none.
OPEN = """
select coalesce(host(client_addr), ''), count(*), count(*) filter (where state <> 'idle')
from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
group by 1 order by 1
"""
ASK_WITHIN = 5.0
MOST = 16  # archive nodes; of more the controller asks each within seconds anyway


def notes(context: Context, view: ClusterView, ask: Any) -> tuple[str, ...]:
    """Sentences; that nobody knows is one too. `ask`: one statement of the primary."""
    found = counted(context, view, ask)
    return (f"how many sessions would end is not known: {found}",) if isinstance(found, str) else said(found)


def counted(context: Context, view: ClusterView, ask: Any) -> Sessions | str:
    """Or why they could not be counted."""
    try:
        rows: Sequence[tuple[Any, ...]] = ask(context, OPEN, ASK_WITHIN)
    except HactlError as error:
        return error.message
    return sessions(context.spec, view, [(str(a), int(n), int(b)) for a, n, b in rows])


def whole(context: Context) -> tuple[str, ...]:
    """Each archive node's index, asked until a connection answers that lives; what came of it."""
    names = tuple(context.spec.archives)
    if not names or len(names) > MOST:
        return ()
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(names)) as pool:
        found = dict(zip(names, pool.map(lambda name: index(context, name), names), strict=True))
    well = [name for name, probe in found.items() if probe.ok]
    ill = [f"{n}'s index does not answer yet ({p.why})" for n, p in found.items() if not p.ok]
    return (*((f"{', '.join(well)}: the index answers",) if well else ()), *ill)


def index(context: Context, name: str) -> Probe:
    from hactl.wiring import status_ports

    return status_ports(context.spec, context.site).archives[name].index()
