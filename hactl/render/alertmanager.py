"""Alertmanager on the witness: who is told of alerts, as the spec's `notify` says.

Nothing of hactl waits for a delivery: Prometheus hands alerts over, Alertmanager tries again until a receiver
takes them, and the controller knows of neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hactl import layout
from hactl.render import engine
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec, Email, Webhook

UNIT: Final = "prometheus-alertmanager.service"
RECEIVER: Final = "notify"
# What a lost node says of itself need not be said by all that ran there.
_FOLLOWS: Final = (
    *("AGENT_SILENT", "ETCD_MEMBER_DOWN", "PATRONI_DOWN", "ARCHIVE_NODE_DOWN", "FACTS_UNKNOWN"),
    *("KEEPALIVED_DOWN", "UNIT_NOT_RUNNING", "SOURCE_UNKNOWN"),
)


def render(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[RenderedFile]:  # noqa: ARG001 - a renderer's shape
    """Only root and Alertmanager's account may read it: a webhook's address may hold a token."""
    for node in spec.witnesses:
        yield RenderedFile(
            node=node, path=str(layout.ALERTMANAGER_CONFIG), component="alertmanager",
            content=engine.yaml_document(configuration(spec), engine.header(node, spec.cluster)),
            mode="0640", owner="root", group="prometheus", secret=True,
            validate=("/usr/bin/amtool", "check-config", "%s"), on_change="reload", unit=UNIT,
        )  # fmt: skip


def configuration(spec: ClusterSpec) -> dict[str, Any]:
    """alertmanager.yml. Errors: at once, again each hour. Warnings: after half a minute, again each 12 h."""
    return {
        "route": {
            "receiver": RECEIVER,
            "group_by": ["alertname", "cluster"],
            "group_wait": "30s",
            "group_interval": "1m",
            "repeat_interval": "12h",
            "routes": [
                {
                    "matchers": ['severity="error"'],
                    "group_wait": "1s",
                    "group_interval": "10s",
                    "repeat_interval": "1h",
                }
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="NODE_UNREACHABLE"'],
                "target_matchers": [f'alertname=~"{"|".join(_FOLLOWS)}"'],
                "equal": ["cluster", "subject"],
            },
            {
                "source_matchers": ['alertname="ALL_NODES_UNREACHABLE"'],
                "target_matchers": ['severity="warning"'],
                "equal": ["cluster"],
            },
        ],
        "receivers": [_receiver(spec)],
    }


def _receiver(spec: ClusterSpec) -> dict[str, Any]:
    webhooks = [_webhook(notice) for notice in spec.notify if isinstance(notice, Webhook)]
    emails = [_email(notice) for notice in spec.notify if isinstance(notice, Email)]
    return {
        "name": RECEIVER,
        **({"webhook_configs": webhooks} if webhooks else {}),
        **({"email_configs": emails} if emails else {}),
    }


def _webhook(notice: Webhook) -> dict[str, Any]:
    return {"url": notice.webhook, "send_resolved": True}


def _email(notice: Email) -> dict[str, Any]:
    domain = notice.email.partition("@")[2]
    host = notice.smarthost.rpartition(":")[0]
    login = notice.login
    return {
        "to": notice.email,
        "from": notice.sender or f"hactl@{domain}",
        "smarthost": notice.smarthost,
        "require_tls": host not in {"127.0.0.1", "localhost"},
        "send_resolved": True,
        **({"auth_username": login.username, "auth_password_file": login.password_file} if login else {}),
    }
