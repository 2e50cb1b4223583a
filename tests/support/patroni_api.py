"""Patroni's REST API, imported without what its import does to this process.

`patroni.file_perm` narrows the umask to 0077 when it is imported; every later test would inherit that.
"""

from __future__ import annotations

import os

_before = os.umask(0o022)
try:
    from patroni.api import RestApiHandler, RestApiServer
finally:
    os.umask(_before)

__all__ = ["RestApiHandler", "RestApiServer"]
