"""Bring a local cluster up and down.

Duty: the order of things: start, wait, record, and end again whatever was started when it fails.
Not here: what to start (cli.local_plan), processes (cli.local_processes), the command line and
what is printed (cli.local).
Invariants (tests/e2e/test_local_cluster.py): a failed or interrupted `up` leaves no process and no
container; `down` ends what the record names and nothing else.
"""

import base64
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from berth.certificates import create_authority, issue, load_authority
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.errors import BerthError, UnavailableError
from berth.wire.tls import Role, TlsSettings
from cli import local_engine, local_plan, local_ready
from cli.local_etcd import find_etcd
from cli.local_plan import HOST, PortPicker, UpSettings
from cli.local_processes import end_all, is_running, log_tail, start, uninterrupted
from cli.local_record import (
    Folders,
    LocalCluster,
    ProcessRecord,
    load_record,
    locked,
    remove_lock,
    save_record,
)

T = TypeVar("T")

_KEY_BYTES: Final = 32
_POLL_S: Final = 0.1
_ETCD_TIMEOUT_S: Final = 30.0
_ENGINE_TIMEOUT_S: Final = 90.0
_LEADER_TIMEOUT_S: Final = 60.0
_NODES_TIMEOUT_S: Final = 60.0
_GRACE_S: Final = 20.0
_OPERATOR: Final = "operator"


class Narrator(Protocol):
    """Whom the progress is told."""

    def begin(self, what: str) -> None:
        """Say what is being done or waited for now."""
        ...

    def done(self, what: str) -> None:
        """Say what is done."""
        ...

    def warn(self, what: str) -> None:
        """Say what the user should know."""
        ...


@dataclass(frozen=True, slots=True)
class UpResult:
    """A cluster that is up."""

    leader: str
    leader_address: str
    schedulers: tuple[str, ...]
    """gRPC addresses."""
    nodes: tuple[str, ...]
    docker_url: str
    tls: TlsSettings
    docker_host: str
    """What DOCKER_HOST must be for the docker command to use the cluster."""
    was_up: bool
    """True when nothing had to be started."""


class UpFailedError(UnavailableError):
    """The cluster did not come up. Everything that was started has been ended again."""


class LocalRunner:
    """One `berth up` or `berth down` in one work folder."""

    def __init__(self, folders: Folders, narrator: Narrator) -> None:
        self._folders = folders
        self._narrator = narrator
        self._cluster = LocalCluster()
        self._clock = SystemClock()
        self._entropy = SystemEntropy()

    # --- Up

    def up(self, settings: UpSettings) -> UpResult:
        """Start the cluster, or what of it is missing; return it once it works.

        Raises:
            UpFailedError: it did not come up; the text ends with the log to read.
            BerthError: the settings or this machine do not allow it; nothing was started.
        """
        settings.validate()
        with locked(self._folders):
            self._cluster = load_record(self._folders)
            ended = [each for each in self._processes() if not is_running(each)]
            if len(ended) < len(self._cluster.processes):
                return self._up_again(ended, settings)
            try:
                self._start_all(settings)
                return self._wait_up(was_up=False)
            except BaseException:  # Ctrl-C too: nothing half started may stay.
                if self._cluster.processes:
                    self._narrator.warn("ending what was started")
                self._end_all()
                raise

    def _up_again(self, ended: list[ProcessRecord], settings: UpSettings) -> UpResult:
        """Complete a cluster of which some programs run: those that ended start once more."""
        for flag, wanted, there in (
            ("--schedulers", settings.schedulers, len(self._schedulers())),
            ("--agents", settings.agents, self._cluster.nodes),
        ):
            if flag in settings.given and wanted != there:
                self._narrator.warn(
                    f"{flag} {wanted} changes nothing, the cluster has {there}: "
                    "end it first with `berth down`"
                )
        for record in ended:
            self._narrator.warn(f"{record.name} had ended; starting it again")
            self._start(record)
        return self._wait_up(was_up=not ended)

    def _start_all(self, settings: UpSettings) -> None:
        folders = self._folders
        etcd = None if settings.etcd_urls else find_etcd()
        ports = PortPicker()
        kept_id = self._cluster.cluster_id
        self._tidy_engine()  # What a reboot or a kill left of an earlier one.
        self._cluster = LocalCluster(cluster_id=kept_id, nodes=settings.agents)
        self._make_secrets()
        folders.sockets.mkdir(parents=True, exist_ok=True)
        docker_url = self._provide_engine(settings)
        facts = local_engine.facts(docker_url)
        self._narrator.done(f"Docker Engine {facts.version} answers at {docker_url}")
        etcd_urls = settings.etcd_urls
        if etcd is not None:
            if etcd.warning:
                self._narrator.warn(etcd.warning)
            record = local_plan.plan_etcd(folders, etcd, ports)
            self._start(record)
            etcd_urls = (local_plan.etcd_url(record),)
            self._wait(
                f"etcd {etcd.version_text}",
                lambda: local_ready.etcd_is_healthy(etcd_urls[0]),
                _ETCD_TIMEOUT_S,
            )
            self._narrator.done(f"etcd {etcd.version_text} at {etcd_urls[0]}")
        schedulers = local_plan.plan_schedulers(
            folders, settings, etcd_urls, self._scheduler_certificate, ports
        )
        addresses = tuple(map(local_plan.grpc_address, schedulers))
        agents = local_plan.plan_agents(
            folders, settings, docker_url, facts, addresses, self._agent_certificate, ports
        )
        self._cluster.docker_url = docker_url
        self._cluster.etcd_urls = tuple(etcd_urls)
        self._cluster.scheduler_addresses = addresses
        for record in [*schedulers, *agents]:
            self._start(record)

    def _provide_engine(self, settings: UpSettings) -> str:
        """Return the URL of an Engine that answers, starting a private one where that is asked."""
        url = settings.docker_url or self._engine_of_environment() or local_engine.SYSTEM_URL
        if local_engine.answers(url):
            return url
        if not settings.start_engine:
            raise UnavailableError(
                f"no Docker Engine answers at {url}: start it, name another with --docker, or let "
                "`berth up --start-engine` run a private one (as root)"
            )
        argv = local_engine.private_command(self._folders, settings.insecure_registries)
        log = str(self._folders.logs / "engine.log")
        local_engine.note_links(self._cluster)
        self._start(ProcessRecord("engine", "engine", tuple(argv), {}, log))
        url = local_engine.private_url(self._folders)
        self._wait("a private Docker Engine", lambda: local_engine.answers(url), _ENGINE_TIMEOUT_S)
        self._cluster.firewall_rules = local_engine.firewall_rules()
        save_record(self._folders, self._cluster)
        if not local_engine.insert_rules(self._cluster.firewall_rules):
            self._narrator.warn("iptables failed: containers will not reach other machines")
        return url

    def _engine_of_environment(self) -> str:
        """Return $DOCKER_HOST, unless it is what an earlier `berth up` told the user to set."""
        url = os.environ.get("DOCKER_HOST", "")
        if url.startswith(f"unix://{self._folders.sockets}/") or (
            url and local_engine.is_berth(url)
        ):
            self._narrator.warn(
                f"DOCKER_HOST={url} is a scheduler of Berth, no Engine; passed over"
            )
            return ""
        return url

    def _start(self, record: ProcessRecord) -> None:
        self._narrator.begin(f"starting {record.name}")
        if record.kind == "engine":
            local_engine.remove_leftovers(self._folders)
        with uninterrupted():
            self._cluster.processes[record.name] = start(record)
            save_record(self._folders, self._cluster)

    def _wait_up(self, *, was_up: bool) -> UpResult:
        tls = self._certificate(Role.CLIENT, _OPERATOR)
        addresses = self._cluster.scheduler_addresses

        names = {record.name for record in self._schedulers()}
        docker_hosts = [local_plan.docker_host([record]) for record in self._schedulers()]

        def leads() -> local_ready.Progress | None:
            # All of them: the user is about to point docker at one that may not be the leader, and
            # one that was killed stays in the leader's list for a while.
            seen = local_ready.look(addresses, tls)
            are_listed = bool(seen.leader) and names <= seen.schedulers
            return seen if are_listed and all(map(local_engine.answers, docker_hosts)) else None

        found = self._wait("a leader and all schedulers", leads, _LEADER_TIMEOUT_S)
        self._cluster.cluster_id = found.cluster_id
        save_record(self._folders, self._cluster)
        self._narrator.done(f"{found.leader} leads {len(addresses)} schedulers")

        def all_ready() -> local_ready.Progress | None:
            seen = local_ready.look(addresses, tls)
            self._narrator.begin(f"{len(seen.ready_nodes)} of {self._cluster.nodes} nodes ready")
            return seen if len(seen.ready_nodes) >= self._cluster.nodes else None

        found = self._wait(f"{self._cluster.nodes} nodes", all_ready, _NODES_TIMEOUT_S)
        self._narrator.done(f"{len(found.ready_nodes)} nodes are ready")
        return UpResult(
            found.leader,
            found.leader_address,
            addresses,
            found.ready_nodes,
            self._cluster.docker_url,
            tls,
            local_plan.docker_host(self._schedulers()),
            was_up,
        )

    def _wait(self, what: str, claim: Callable[[], T | None], timeout_s: float) -> T:
        """Wait until `claim` returns something true; a program that ends meanwhile ends it."""
        self._narrator.begin(f"waiting for {what}")
        give_up_at = self._clock.instant() + timeout_s
        while True:
            answer = claim()
            if answer:
                return answer
            for record in self._processes():
                if not is_running(record):
                    raise UpFailedError(
                        f"{record.name} ended at once; its log {record.log} says:\n"
                        f"{log_tail(record)}"
                    )
            if self._clock.instant() > give_up_at:
                raise UpFailedError(
                    f"{what} did not come about within {timeout_s:g} s: read the logs in "
                    f"{self._folders.logs}"
                )
            time.sleep(_POLL_S)

    # --- Secrets

    def _make_secrets(self) -> None:
        """Make the authority and the sealing key, unless an earlier `up` did."""
        folders = self._folders
        if not (folders.tls / "ca.crt").exists():
            create_authority(
                folders.tls, clock=self._clock, entropy=self._entropy, name="Berth local"
            )
        if not folders.key_file.exists():
            key = base64.b64encode(self._entropy.token_bytes(_KEY_BYTES))
            descriptor = os.open(folders.key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key + b"\n")

    def _scheduler_certificate(self, name: str) -> TlsSettings:
        return self._certificate(Role.SCHEDULER, name)

    def _agent_certificate(self, name: str) -> TlsSettings:
        return self._certificate(Role.AGENT, name)

    def _certificate(self, role: Role, name: str) -> TlsSettings:
        tls = self._folders.tls
        found = TlsSettings(tls / "ca.crt", tls / f"{name}.crt", tls / f"{name}.key")
        if role is Role.CLIENT and found.cert_file.exists():
            return found
        authority = load_authority(tls)
        addresses = () if role is Role.CLIENT else (HOST, "localhost")
        return issue(
            authority, role, name, addresses, tls, clock=self._clock, entropy=self._entropy
        )

    # --- Down

    def down(self, *, purge: bool) -> bool:
        """End the cluster and remove its containers; return whether there was anything to end.

        Args:
            purge: also forget its state: etcd's data, certificates, keys, agents' identities.
        """
        with locked(self._folders):
            self._cluster = load_record(self._folders)
            found = bool(self._cluster.processes)
            self._end_all()
            if purge:
                self._purge()
            return found

    def _end_all(self) -> None:
        """End all programs in the order in which each needs the next; then tidy up."""
        self._end("agent")
        self._remove_containers()
        shutil.rmtree(self._folders.task_files, ignore_errors=True)
        for kind in ("scheduler", "etcd", "engine"):
            self._end(kind)
        self._tidy_engine()
        self._cluster.processes.clear()
        save_record(self._folders, self._cluster)

    def _tidy_engine(self) -> None:
        """Take out of the machine what a private Engine that has ended put there."""
        local_engine.remove_network(self._cluster)
        if self._folders.engine.exists():
            local_engine.remove_runtime_files(self._folders)

    def _end(self, kind: str) -> None:
        records = [record for record in self._processes() if record.kind == kind]
        if not any(map(is_running, records)):
            return
        self._narrator.begin(f"ending {', '.join(record.name for record in records)}")
        for name in end_all(records, _GRACE_S):
            self._narrator.warn(f"{name} did not end within {_GRACE_S:g} s and was killed")
        self._narrator.done(f"ended {', '.join(record.name for record in records)}")

    def _remove_containers(self) -> None:
        cluster = self._cluster
        if not cluster.cluster_id or not cluster.docker_url:
            return
        self._narrator.begin("removing containers")
        try:
            removed = local_engine.remove_containers(cluster.docker_url, cluster.cluster_id)
        except BerthError as error:
            label = f"{local_engine.CLUSTER_LABEL}={cluster.cluster_id}"
            self._narrator.warn(
                f"{error.message}; once the Engine runs, remove the containers with the label "
                f"{label}"
            )
            return
        cluster.docker_url = ""  # Nothing of the cluster is there any more.
        if removed:
            self._narrator.done(f"removed {removed} container{'s' * (removed != 1)}")

    def _purge(self) -> None:
        """Remove what we made in the work folder, and the folder if nothing else is in it."""
        folders = self._folders
        for folder in (
            folders.logs,
            folders.tls,
            folders.etcd,
            folders.engine,
            folders.sockets,
        ):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folders.work_dir / "agents", ignore_errors=True)
        for file in (folders.key_file, folders.record):
            file.unlink(missing_ok=True)
        remove_lock(folders)
        self._narrator.done(f"removed the cluster's state from {folders.work_dir}")

    def _schedulers(self) -> list[ProcessRecord]:
        return [record for record in self._processes() if record.kind == "scheduler"]

    def _processes(self) -> list[ProcessRecord]:
        return list(self._cluster.processes.values())
