"""The commented spec that `hactl spec init` writes. It passes `hactl spec check`; a test holds that."""

from __future__ import annotations

from typing import Final

EXAMPLE: Final = """\
# What a PACS installation is meant to be. `hactl spec check` says what is wrong with this file,
# `hactl spec schema > cluster.schema.json` lets an editor complete it:
# yaml-language-server: $schema=cluster.schema.json

# The installation's name: a small letter, then small letters, digits and hyphens.
cluster: demo

# Every machine, by name, each with one role. Two database nodes, at least one witness (an odd number of
# votes with the database nodes), at least two archive nodes.
nodes:
  db1:  {address: 192.0.2.11, roles: [database]}
  db2:  {address: 192.0.2.12, roles: [database]}
  wit1: {address: 192.0.2.13, roles: [witness]}
  arc1: {address: 192.0.2.21, roles: [archive]}
  arc2: {address: 192.0.2.22, roles: [archive]}

# The addresses that clients use; no machine has them as its own. The prefix length is that of the nodes'
# network. `router_id` must be unique among all VRRP users of the network segment.
vips:
  database: {address: 192.0.2.100/24, interface: eth0, router_id: 51}
  archive:  {address: 192.0.2.101/24, interface: eth0, router_id: 52}

# PostgreSQL: the archive's database, and parameters of your own.
database:
  version: 15
  name: orthanc
  parameters: {max_connections: 200}
  # The site's own backup, if it touches a file here each time: {stamp: FILE, every: day}; the doctor looks.
  backup: null

# Orthanc. Only the modalities named here may send, find and fetch; `tls: false` is for old ones.
# An archive that is there already and is only watched: `kind: dicom`, no archive nodes, no vips.archive, and
#   servers: {pacs1: {address: 192.0.2.31, port: 11112, tls: false, dicomweb: https://192.0.2.31/dicom-web}}
archive:
  kind: orthanc
  servers: {}
  aet: PACS
  storage: /srv/images          # shared storage, mounted on each archive node
  modalities:
    ct1: {aet: CT1, address: 192.0.2.51, port: 104, tls: true}
  # All images are read through again and again for damage: how often, how fast (MB/s), and not while the
  # machine has other work. `copies`: folders laid out as the storage, from which damage is mended.
  scrub: {every: week, rate: 50, load: 1.0, readers: 2, copies: []}
  # Sign each new image, beside it: {key: FILE, certificate: FILE, trusted: FILE} on the archive nodes.
  signing: null

# How a lost primary is kept from serving. `lease`: how long it may serve at most when it is cut off.
# A fence agent switches the machine off; its password stands in a file that only root may read.
# A node without one is proved silent by its lease alone, which takes longer.
fencing:
  lease: 3s
  agents:
    db1:
      agent: fence_ipmilan
      options: {ip: 198.51.100.11, username: hactl, password_file: /etc/hactl/bmc, lanplus: true, cipher: 3}
    db2:
      agent: fence_ipmilan
      options: {ip: 198.51.100.12, username: hactl, password_file: /etc/hactl/bmc, lanplus: true, cipher: 3}

# Who is told of alerts, by the witness's Alertmanager. A webhook gets Alertmanager's JSON by POST.
notify: []
# - webhook: https://alerts.example.org/hactl
# - email: oncall@example.org
#   smarthost: mail.example.org:587     # without it: the mail server of the witness itself

# Faults on purpose (docs/drills.md). `every`: how often one is due; later ones are an alarm. `windows`: when
# they may happen here, for example {days: [sat, sun], begin: "02:00", end: "04:00"}; none: in a lab only.
drills: {every: quarter, windows: [], zone: UTC}

# How hactl reaches the nodes: `user` for operations, `deploy_user` (root, or with sudo) for `hactl deploy`.
ssh: {user: hactl, deploy_user: root, port: 22}

# Who may reach the installation from outside its own nodes; all others are dropped.
access:
  operators: [192.0.2.2/32]     # where hactl is run
  clients: [192.0.2.0/24]       # who may use the virtual IPs
  # Who may view, operate, or do dangerous things without holding the secrets (docs/roles.md):
  #   anna: {role: dangerous, keys: [ssh-ed25519 AAAA...], os_users: [anna], subjects: [anna.example.org]}
  people: {}
  two_person: false             # true: a failover by hand waits for a second person's approval
  view_ca: null                 # the site's CA for `subjects`: PEM on database nodes and witnesses
"""
