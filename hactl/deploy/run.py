"""One deployment: what shall be there, what is there, may it be touched, and then Ansible."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hactl import resources
from hactl.act.archive_turn import Turns, turns
from hactl.act.config_versions import Draft
from hactl.act.maintenance import Operator
from hactl.act.operation import held
from hactl.decide.archive_told import told
from hactl.decide.plan import Veto
from hactl.deploy import ask, foreseen, gate
from hactl.deploy.bundle import bundles
from hactl.deploy.desired import Desired, desired
from hactl.deploy.events import Change, Journal, Progress
from hactl.deploy.hand import offered
from hactl.deploy.inventory import Facts, inventory
from hactl.deploy.lifeline import supervised
from hactl.deploy.recorded import journaled, recorded
from hactl.deploy.rest import Rest, resting, who
from hactl.deploy.wheelhouse import Wheelhouse
from hactl.errors import Unreachable
from hactl.observe.gather import gather
from hactl.pki.files import ensure_folder, locked
from hactl.pki.store import Store
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from hactl.view.keys import Keys
from hactl.wiring import etcd_kv, glance_ports, operator

FORKS = 5
SILENT_AT_MOST = 900  # seconds without any event: apt on a slow mirror is the longest silent step
WITHIN = 3600  # seconds for the whole
LOOK_EVERY = 1  # seconds between two looks whether a signal came; ansible-runner's own choice is 5
Listener = Callable[[Progress], None]


@dataclass(frozen=True)
class Request:
    """`limit`: this node only. `force`: even when the cluster is not healthy. `check`: change nothing.

    `packages` False: never ask a mirror; when packages are missing the deployment fails and says which.
    `restarts` False: parameters that PostgreSQL takes at its start only wait for somebody to restart it.
    `record`: the spec's text, for the configuration's history; None: it is not kept.
    `holding`: whoever has the cluster's operation lock already, for this.
    """

    spec: ClusterSpec
    site: Site
    wheels: Wheelhouse
    limit: str | None = None
    check: bool = False
    force: bool = False
    packages: bool = True
    restarts: bool = True
    record: Draft | None = None
    holding: Operator | None = None


@dataclass(frozen=True)
class Result:
    """`made`: what the state folder lacked. `seconds`: the whole call.

    `steps`: with `check`: what would be done, in order; `vetoes`: why it would be refused without `force`.
    """

    first: bool
    check: bool
    changes: tuple[Change, ...]
    tasks: int
    seconds: float
    made: tuple[str, ...] = field(default_factory=tuple)
    steps: tuple[str, ...] = ()
    vetoes: tuple[Veto, ...] = ()


def deploy(request: Request, tell: Listener) -> Result:
    """Bring the nodes to what the spec says; `tell` hears of every step while it happens.

    Raises:
        Refused: the cluster is not healthy, or this is a node.
        Unreachable: a node cannot be asked or does not answer any more.
        StepFailed: a task failed; names the node, the task and the last step done.
        LockHeld: another deployment, or another operation, is under way.

    """
    start = time.monotonic()
    store = Store(request.site.state)
    made = tuple(f"{m.path.name}: {m.why}" for m in store.init(request.spec))
    if made:
        tell(Progress("play", f"Certificates and secrets: {len(made)} made in {request.site.state}"))
    want = desired(request.spec, store)
    folder = request.site.state / "deploy"
    ensure_folder(folder)
    with locked(folder):
        tell(Progress("play", "What is there"))
        answers = ask.who_is_deployed(request.spec, request.site)
        facts = gate.facts(request.spec, request.site, answers, request.limit, force=request.force)
        with (
            _operation(request, facts, tell) as by,
            _journaled(request, facts, by, tell),
            _hactl_rests(request, facts, tell),
            _recorded(request, facts, by, tell),
            _turns(request, facts, by, tell) as turn,
        ):
            journal = _play(request, facts, want, turn, tell)
    return Result(
        first=facts.fresh,
        check=request.check,
        changes=tuple(journal.changes),
        tasks=journal.tasks,
        seconds=time.monotonic() - start,
        made=made,
        steps=foreseen.steps(request.spec, facts, want.files, journal.changes) if request.check else (),
        vetoes=facts.vetoes,
    )


@contextmanager
def _operation(request: Request, facts: Facts, tell: Listener) -> Iterator[Operator]:
    """The cluster's operation lock. Without etcd nobody can take it: its own repair must not wait for it.

    Raises LockHeld: somebody else changes something at this moment.
    """
    with ExitStack() as stack:
        by = request.holding or operator(request.spec, request.site)
        if not (facts.fresh or request.check or request.holding):
            try:
                by = stack.enter_context(held(by, f"deploy {request.limit or 'all nodes'}"))
            except Unreachable as error:
                tell(Progress("play", f"Without the operation lock: {error.message}"))
        yield by


def _journaled(request: Request, facts: Facts, by: Operator, tell: Listener) -> AbstractContextManager[None]:
    """Whoever holds the lock for it has a record of his own; before the first one there is no journal."""
    if facts.fresh or request.check or request.holding:
        return nullcontext()
    reason = request.record.reason if request.record else ""
    about = {"limit": request.limit or "", "force": request.force, "reason": reason}
    return journaled(by, about, lambda text: tell(Progress("play", text)))


def _recorded(request: Request, facts: Facts, by: Operator, tell: Listener) -> AbstractContextManager[None]:
    if request.record is None or request.check:
        return nullcontext()
    whole = request.limit is None
    return recorded(
        by, request.record, fresh=facts.fresh, whole=whole, say=lambda text: tell(Progress("play", text))
    )


def _hactl_rests(request: Request, facts: Facts, tell: Listener) -> AbstractContextManager[None]:
    """What is restarted on purpose is no fault. At the first deployment there is nobody to tell."""
    if facts.fresh or request.check:
        return nullcontext()
    kv = etcd_kv(request.spec, request.site)
    rest = Rest(kv, Keys(request.spec.cluster), who())
    return resting(rest, lambda said: tell(Progress("play", said)))


@contextmanager
def _turns(request: Request, facts: Facts, by: Operator, tell: Listener) -> Iterator[Turns]:
    """Archive nodes out of the archive VIP and in again; a first deployment and --check drain nobody."""
    spec, site = request.spec, request.site
    look = lambda node: told(spec, gather(glance_ports(spec, site, (node,))))  # noqa: E731
    found = Turns(spec, by, look, lambda said: tell(Progress("play", said)), force=request.force)
    if facts.fresh or request.check:
        yield found
        return
    with turns(found):
        yield found


def _play(request: Request, facts: Facts, want: Desired, turn: Turns, tell: Listener) -> Journal:
    from ansible_runner.interface import init_runner  # noqa: PLC0415 - slow to import, and in an extra

    journal = Journal()

    def hear(event: Mapping[str, Any]) -> bool:
        if progress := journal.take(event):
            tell(progress)
        return False  # nothing of it is kept on disk

    acts = {"out": turn.out, "in": turn.back}
    with (
        _private(request.site.state) as private,
        _connections() as sockets,
        _signals(),
        offered(sockets, acts, turn.stop) as hand,
    ):
        _write_bundles(request.spec, want, private)
        (private / "ansible.cfg").write_text("[defaults]\n")
        play = init_runner(
            private_data_dir=str(private),
            project_dir=str(resources.folder("ansible")),
            playbook="site.yml",
            inventory=inventory(request.spec, request.site, facts, want.files, request.wheels),
            extravars={
                "hactl_bundles": str(private / "bundles"),
                "hactl_may_install": request.packages,
                "hactl_fresh": facts.fresh,
                "hactl_restarts": request.restarts,
                "hactl_hand": hand,
            },
            envvars=_environment(private, sockets),
            limit=request.limit,
            cmdline="--check --diff" if request.check else None,
            event_handler=hear,
            quiet=True,
            suppress_env_files=True,
        )
        with supervised(sockets) as supervisor:
            play.config.command[:0] = supervisor
            # Given as settings they would be dropped: there is no file env/settings.
            play.config.pexpect_timeout = LOOK_EVERY
            play.config.idle_timeout, play.config.job_timeout = SILENT_AT_MOST, WITHIN
            play.run()
        late = f"no sign of life for {SILENT_AT_MOST} s, or not done within {WITHIN} s"
        late = late if play.status == "timeout" else ""
        tail = late or _last_words(private)
    if play.status == "canceled":
        raise KeyboardInterrupt
    if failure := journal.error(int(play.rc if play.rc is not None else 1), tail):
        raise failure
    return journal


@contextmanager
def _private(state: Path) -> Iterator[Path]:
    """A folder for one run: it holds keys, so it lies in the state folder and goes when the run ends."""
    for old in state.glob("deploy/run-*"):  # a killed deployment could not tidy up; we hold the lock
        shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=state / "deploy"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _connections() -> Iterator[Path]:
    """A folder for the sockets of this run: the supervisor's, and those of SSH connections, which it ends.

    Never a shared one: two installations may use the same addresses (two labs do), and a connection that one
    left open would carry the other's deployment to the wrong machines, past its pinned host keys. Not in the
    state folder: a socket's path may have 107 characters at most.
    """
    folder = Path(tempfile.mkdtemp(prefix="hactl-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _signals() -> Iterator[None]:
    """ansible-runner takes Ctrl-C and SIGTERM for itself and keeps them; the caller gets them back here."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def _write_bundles(spec: ClusterSpec, want: Desired, private: Path) -> None:
    for node in spec.nodes:
        folder = private / "bundles" / node
        folder.mkdir(mode=0o700, parents=True)
        for component, text in bundles(spec, node, want.files, want.mask).items():
            (folder / component).write_text(text)


def _environment(private: Path, sockets: Path) -> dict[str, str]:
    """Ansible's settings, and an empty ansible.cfg: one in the caller's folder would be read otherwise."""
    ansible = resources.folder("ansible")
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(private / "ansible.cfg"),
        "ANSIBLE_LIBRARY": str(ansible / "library"),
        "ANSIBLE_ACTION_PLUGINS": str(ansible / "action_plugins"),
        "ANSIBLE_ROLES_PATH": str(ansible / "roles"),
        "ANSIBLE_FORKS": str(FORKS),
        "ANSIBLE_GATHERING": "explicit",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_PIPELINING": "True",
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
        "ANSIBLE_SSH_RETRIES": "2",
        "ANSIBLE_HOME": str(private / "home"),
        "ANSIBLE_LOCAL_TEMP": str(private / "tmp"),
        # In the account's own home. Below /tmp any local account could own the folder before we come, and
        # swap what root is about to read from it.
        "ANSIBLE_REMOTE_TEMP": "~/.ansible/tmp",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_NOCOLOR": "True",
        "ANSIBLE_DEPRECATION_WARNINGS": "False",
    }


def _last_words(private: Path) -> str:
    said = [p.read_text(errors="replace") for p in private.glob("artifacts/*/std*") if p.is_file()]
    return "\n".join(said)
