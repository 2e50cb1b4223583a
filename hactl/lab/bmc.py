"""A machine's BMC: speaks IPMI 2.0 on the management network and really switches the machine.

`python -m hactl.lab.bmc FOLDER NODE` runs inside the BMC's own network namespace and scope, so it stays alive
and reachable while its machine is off, frozen or cut off. Only cipher suite 3 (HMAC-SHA1, AES-128): pyghmi
serves no other.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pyghmi.ipmi.bmc import Bmc

from hactl.errors import HactlError
from hactl.lab.lab import Lab
from hactl.lab.machine import LabMachine, Power
from hactl.lab.topology import BMC_USER, PORT_IPMI
from hactl.pki.store import Store

_OFF, _ON = 0, 1  # IPMI 2.0, table 28-3: bit 0 of the power state
_FAILED = 0xFF  # completion code "unspecified error"
_POWEROFF_SIGNAL = signal.SIGRTMIN + 4  # systemd(1): start poweroff.target; what an ACPI power button does


class MachineBmc(Bmc):  # type: ignore[misc] # pyghmi has no types
    """Answers one machine's IPMI. Each answer comes after the deed, so that "off" is never said too early.

    While `dud` is there it says yes to every order and follows none. Its status is always the truth. Each
    order is a line of `orders` before it is followed.
    """

    def __init__(self, machine: LabMachine, address: str, password: str, dud: Path, orders: Path) -> None:
        super().__init__({BMC_USER: password}, port=PORT_IPMI, address=address)
        self._machine = machine
        self._dud, self._orders = dud, orders
        orders.touch()

    def get_power_state(self) -> int:
        return _OFF if self._machine.power() is Power.OFF else _ON

    def power_off(self) -> int:
        return self._done("off", self._machine.power_off)

    def power_on(self) -> int:
        return self._done("on", self._machine.power_on)

    def power_cycle(self) -> int:
        return self.power_reset()

    def power_reset(self) -> int:
        return self._done("reset", self._machine.power_off) or self._done("on", self._machine.power_on)

    def power_shutdown(self) -> int:
        return self._done("shutdown", lambda: os.kill(self._machine.init(), _POWEROFF_SIGNAL))

    def cold_reset(self) -> int:
        return 0

    def _done(self, power: str, deed: Any) -> int:
        """The completion code of a deed. A failed one must not be taken for done: fencing relies on it."""
        with self._orders.open("a") as out:
            out.write(json.dumps({"at": time.monotonic(), "power": power}) + "\n")
        if self._dud.exists():
            return 0
        try:
            deed()
        except (HactlError, OSError) as error:
            sys.stderr.write(f"{self._machine.name}: {error}\n")
            return _FAILED
        return 0


def serve(folder: Path, node: str) -> None:
    """Never returns."""
    lab = Lab.open(folder)
    machine = lab.machine(node)
    if machine.machine.bmc is None:
        raise SystemExit(f"{node} has no BMC in {folder}")
    password = Store(lab.folder.state).secrets().bmc.value
    address, files = str(machine.machine.bmc.cable.address), lab.folder
    MachineBmc(machine, address, password, files.dud(node), files.orders(node))
    Bmc.listen()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
