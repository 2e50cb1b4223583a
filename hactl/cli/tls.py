"""`hactl tls`: what the cluster's ports refuse, tried out."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import NotHealthy, Refused, StepFailed, Unreachable, UsageError

if TYPE_CHECKING:
    from hactl.adapters.tls_matrix import Client, Files
    from hactl.decide.tls import Row
    from hactl.decide.tls_evidence import Run
    from hactl.view.tls import Endpoint

WITHIN = 3.0  # seconds for one call of etcd


@click.group("tls")
def command() -> None:
    """Try out what the cluster's ports refuse."""


@command.command()
@click.option("--only", "only", metavar="NAME", multiple=True, help="A node, or archive-vip, database-vip.")
@click.option(
    "--record", is_flag=True, help="On the witness: keep it as evidence, tell etcd. Its timer does."
)
@click.pass_context
def check(ctx: click.Context, only: tuple[str, ...], record: bool) -> None:
    """Offer every TLS port what it must refuse, and what it must serve.

    Unencrypted, without a certificate, with a stranger's and an expired one, TLS 1.0 to 1.3, wrong AE titles.
    A refusal counts only where a good offer is served. Exits with 7 when a port accepts what it must refuse,
    with 4 when something could not be proven.

    Examples:
      hactl tls check
      hactl tls check --only arc1 -o json
    """
    context = open_context(ctx)
    if record and (only or not _witness(context)):
        raise Refused("only a whole check on the witness is kept", hint="hactl tls check, without --record")
    rows, run = _checked(context, only)
    if record:
        _keep(context, rows, run)
    if context.output == "table":
        _print(rows)
    else:
        emit(document(context, rows, run), context.output)
    _end(rows)


def _witness(context: Context) -> bool:
    return context.site.on_node and _here(context) in context.spec.witnesses


def _here(context: Context) -> str:
    """The node that this is; "ops" elsewhere."""
    from hactl.adapters.own_node import own_node

    return own_node(context.spec) if context.site.on_node else "ops"


def _checked(context: Context, only: Sequence[str]) -> tuple[list[Row], Run]:
    import ssl

    from hactl import __version__
    from hactl.adapters import tls_matrix
    from hactl.decide import tls
    from hactl.decide.tls_evidence import Run

    here = _here(context)
    chosen = _chosen(tls.endpoints(context.spec, inside=here in context.spec.voters), only)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hactl-tls-") as folder:  # 0700
        made = tls_matrix.callers(_client(context, here, Path(folder)))
    seen = tls_matrix.run(made, {e: tls.offers(e.speaks) for e in chosen})
    rows = [row for endpoint, found in seen.items() for row in tls.judge(endpoint, found)]
    now = time.time()
    wall = dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="milliseconds")
    took = time.monotonic() - began
    run = Run(now, wall, here, took, __version__, ssl.OPENSSL_VERSION, tls_matrix.can(made))
    return rows, run


def _chosen(found: Sequence[Endpoint], only: Sequence[str]) -> list[Endpoint]:
    known = {e.name for e in found}
    if strange := sorted(set(only) - known):
        raise UsageError(f"no port of {', '.join(strange)}", hint=f"one of: {', '.join(sorted(known))}")
    return [e for e in found if not only or e.name in only]


def _client(context: Context, here: str, folder: Path) -> Client:
    from hactl.adapters.tls_matrix import Client
    from hactl.adapters.tls_talk import Titles
    from hactl.drill.dicom_net import AET
    from hactl.spec.aets import echo_aets

    titles = Titles(context.spec.archive.aet, echo_aets(context.spec).get(here, AET))
    cluster, dicom = _node_files() if context.site.on_node else _ops_files(context)
    return Client(cluster, dicom, titles, folder)


def _node_files() -> tuple[Files, Files]:
    from hactl import layout
    from hactl.adapters.tls_matrix import Files
    from hactl.adapters.tls_offer import Pair

    pki, expired, dicom = Path(layout.PKI), Path(layout.EXPIRED), Path(layout.DICOM_EXPIRED)
    return (
        Files(pki / "ca.crt", Pair(pki / "hactl.crt", pki / "hactl.key"), Pair(expired, expired)),
        Files(Path(layout.DICOM_CA), Pair(pki / "dicom.crt", pki / "dicom.key"), Pair(dicom, dicom)),
    )


def _ops_files(context: Context) -> tuple[Files, Files]:
    from hactl.adapters.tls_matrix import Files
    from hactl.adapters.tls_offer import Pair
    from hactl.pki.expired import FOLDER, NAMES
    from hactl.pki.store import Store
    from hactl.pki.uses import CLUSTER_CA, DICOM_CA, OPS, OPS_DICOM

    store, site = Store(context.site.state), context.site
    late = {kind: site.state / FOLDER / name for kind, name in NAMES.items()}
    return (
        Files(site.ca, Pair(site.cert, site.key), Pair(late[CLUSTER_CA], late[CLUSTER_CA])),
        Files(store.dicom_ca, Pair(*store.cert(OPS, OPS_DICOM)), Pair(late[DICOM_CA], late[DICOM_CA])),
    )


def _keep(context: Context, rows: Sequence[Row], run: Run) -> None:
    """Evidence first, then etcd: what etcd says is backed by a record."""
    import dataclasses

    from hactl import layout
    from hactl.adapters.tls_evidence import append
    from hactl.decide.tls_evidence import before, entries, record, summary
    from hactl.view.keys import Keys
    from hactl.view.kv import Put
    from hactl.view.parse.tls import tls_check_text
    from hactl.wiring import etcd_kv

    head, old = append(
        Path(layout.TLS_EVIDENCE),
        lambda kept: entries(rows, run, before(kept)),
        lambda seq, action, data, prev: record(seq, action, data, run, prev),
    )
    found = dataclasses.replace(summary(rows, run, before(old)), seq=head.seq, hash=head.hash)
    kv = etcd_kv(context.spec, context.site, run.node)
    put = Put(Keys(context.spec.cluster).tls_check, tls_check_text(found))
    try:
        if not kv.txn([], [put], within=WITHIN, again=True).succeeded:
            raise StepFailed("etcd did not take the result", last_done="the evidence is written")
    finally:
        kv.close()


def document(context: Context, rows: Sequence[Row], run: Run) -> dict[str, Any]:
    from hactl.decide.tls import by_endpoint, of_endpoint
    from hactl.decide.tls_evidence import offer

    return {
        "version": 1, "cluster": context.spec.cluster, "at": run.wall, "from": run.node,
        "took_seconds": round(run.took, 1), "openssl": run.openssl, "offered": dict(run.can),
        "endpoints": [
            {
                "name": found[0].endpoint.name, "speaks": str(found[0].endpoint.speaks),
                "host": found[0].endpoint.host, "port": found[0].endpoint.port,
                "verdict": str(of_endpoint(found)), "offers": [offer(row) for row in found],
            }
            for found in by_endpoint(rows).values()
        ],
    }  # fmt: skip


_COLOURS = {"ok": "green", "weak": "red", "unproven": "yellow"}


def _print(rows: Sequence[Row]) -> None:
    """One line an endpoint where all is well; each offer that is not, with what was seen."""
    from hactl.decide.tls import Verdict, by_endpoint, of_endpoint

    for name, found in by_endpoint(rows).items():
        verdict = of_endpoint(found)
        endpoint = found[0].endpoint
        where = f"{endpoint.host}:{endpoint.port}"
        shown = click.style(f"{verdict:<9}", fg=_COLOURS[verdict], bold=verdict is not Verdict.OK)
        best = next((r.seen for r in reversed(found) if r.seen.certificate), None)
        said = f"  {best.tls} {best.cipher}; {best.certificate}" if best and verdict is Verdict.OK else ""
        click.echo(f"{shown} {name:<24} {where:<24}{said}")
        for row in found:
            if row.verdict is not Verdict.OK:
                offer = f"{row.seen.offer}: {row.seen.outcome}, must be {row.expected}"
                click.echo(f"          {offer}   ({row.seen.detail})")


def _end(rows: Sequence[Row]) -> None:
    from hactl.decide.tls import Verdict, by_endpoint, of_endpoint

    verdicts = [of_endpoint(found) for found in by_endpoint(rows).values()]
    if weak := verdicts.count(Verdict.WEAK):
        raise NotHealthy(f"{weak} of {len(verdicts)} ports accept what they must refuse", hint="hactl deploy")
    if unproven := verdicts.count(Verdict.UNPROVEN):
        raise Unreachable(f"{unproven} of {len(verdicts)} ports are not proven", hint="hactl status")
