"""Asks an SSH server for its host key, without logging in. It is a claim until somebody compares it."""

from __future__ import annotations

import logging
import socket

import paramiko

from hactl.errors import Unreachable

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # its errors reach us as exceptions


def fetch(address: str, port: int, *, within: float) -> tuple[str, str]:
    """(kind, public key in base64) of the key that the server prefers to show us; `within` in seconds.

    Raises:
        Unreachable: no connection, or what answers does not speak SSH.

    """
    try:
        with socket.create_connection((address, port), timeout=within) as connection:
            transport = paramiko.Transport(connection)
            transport.banner_timeout = within
            try:
                transport.start_client(timeout=within)
                key = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, EOFError, paramiko.SSHException) as error:
        reason = str(error) or type(error).__name__
        raise Unreachable(
            f"no SSH host key from {address} port {port}: {reason}", hint="is sshd running?"
        ) from error
    return key.get_name(), key.get_base64()
