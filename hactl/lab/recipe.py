"""What the lab's image is made of. Its hash is the image's name: change a line and a new one is built."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

# Everything that `hactl deploy` needs on a node, so that the nodes need no mirror, as in a hospital.
PACKAGES: Final = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "ca-certificates",
    "python3", "python3-venv", "iproute2", "iputils-arping", "iputils-ping", "nftables",
    "procps", "less", "curl",
    "postgresql-15", "etcd-server", "etcd-client", "keepalived",
    "orthanc", "orthanc-postgresql", "orthanc-dicomweb", "nginx-light",
    "prometheus", "prometheus-alertmanager", "fence-agents", "ipmitool",
)  # fmt: skip

# dpkg leaves these out: the lab's disk and the time to fill it are better spent.
EXCLUDED: Final = (
    "/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*",
    "/usr/share/lintian/*", "/usr/share/bash-completion/*",
    # 75 MB of cloud descriptions that only cloud fence agents read
    "/usr/lib/python3/dist-packages/botocore/data/*",
)  # fmt: skip

# Nothing starts by itself but what makes it a machine; deploy enables what belongs on each node.
PRESET: Final = """\
enable ssh.service
enable dbus.service
enable dbus.socket
enable systemd-journald.service
disable *
"""

SSHD: Final = """\
# The lab: root by key only, and no waiting for a resolver that is not there.
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
HostKey /etc/ssh/ssh_host_ed25519_key
"""

JOURNAL: Final = """\
[Journal]
Storage=persistent
SystemMaxUse=64M
"""

# $1 is the new root. Before packages: PostgreSQL's package must not make a cluster of its own.
BEFORE: Final = """\
mkdir -p "$1/etc/postgresql-common/createcluster.d"
echo 'create_main_cluster = false' >"$1/etc/postgresql-common/createcluster.d/hactl-lab.conf"
"""

# After packages. Keys, ids and apt's configuration must not be shared by machines or reach them at all.
AFTER: Final = f"""\
mkdir -p "$1/etc/systemd/system-preset" "$1/etc/systemd/journald.conf.d"
cat >"$1/etc/systemd/system-preset/00-hactl-lab.preset" <<'END'
{PRESET}END
cat >"$1/etc/ssh/sshd_config.d/hactl-lab.conf" <<'END'
{SSHD}END
cat >"$1/etc/systemd/journald.conf.d/hactl-lab.conf" <<'END'
{JOURNAL}END
systemctl --root="$1" preset-all
systemctl --root="$1" mask console-getty.service getty.target apt-daily.timer apt-daily-upgrade.timer
systemctl --root="$1" set-default multi-user.target
rm -f "$1"/etc/ssh/ssh_host_*_key "$1"/etc/ssh/ssh_host_*_key.pub "$1/etc/hostname" "$1/etc/resolv.conf"
rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*
: >"$1/etc/machine-id"
"""


@dataclass(frozen=True)
class Recipe:
    """All inputs of an image. `sources` is apt's source list for the release `codename`."""

    codename: str
    architecture: str
    sources: str
    packages: tuple[str, ...] = PACKAGES
    excluded: tuple[str, ...] = EXCLUDED
    before: str = BEFORE
    after: str = AFTER

    @property
    def digest(self) -> str:
        """Sixteen hex digits: enough to tell a handful of images apart, short enough to read."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
