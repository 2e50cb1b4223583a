"""Many simulated worlds, new ones each time: a failure prints the fewest faults that lead to it."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

from tests.support.sim_machine import FailoverMachine

TestManyFaults = FailoverMachine.TestCase
TestManyFaults.settings = settings(
    max_examples=60,
    stateful_step_count=8,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
