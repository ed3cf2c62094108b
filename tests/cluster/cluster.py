"""A whole cluster on the hosts of a lab: etcd and schedulers on this machine, an agent per host.

Duty: make certificates and addresses, start and stop all programs, find out what is true.
Not here: hosts and Engines (tests.hosts), single programs (programs), claims of one test.
Invariants: `close` ends every program of the cluster, and nothing else; addresses, certificates
and folders stay the same over restarts.
"""

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import docker

from berth.access import UserRole
from berth.certificates import Authority, create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.model.task import TaskState
from berth.v1 import control_pb2 as pb
from berth.wire.tls import Role, TlsSettings
from cli.local_etcd import EtcdPlace, find_etcd
from scheduler.store.sealing import create_key_file
from tests.cluster.berth_cli import BerthCli
from tests.cluster.control import ControlClient
from tests.cluster.programs import AgentProgram, EtcdMember, Program, SchedulerProgram
from tests.cluster.report import describe_cluster, describe_task
from tests.cluster.waiting import NotYetError, wait_until
from tests.hosts import Host, Lab, free_port
from tests.hosts.ledger import memory_folder

T = TypeVar("T")

_numbers = itertools.count(1)
_AGENT_HTTP_PORT = 7703  # Each host has a network of its own, so the default is free.
_CLOCK, _ENTROPY = SystemClock(), SystemEntropy()


class TestCluster:
    """Programs of one cluster. Use `running_cluster`, which ends them whatever happens."""

    __test__ = False  # For pytest: the name is no test's.

    def __init__(
        self,
        lab: Lab,
        *,
        schedulers: int = 3,
        etcds: int = 1,
        agents: int | None = None,
        lease_ttl_s: int = 3,
        etcd_flags: Sequence[str] = (),
        scheduler_flags: Sequence[str] = (),
        agent_flags: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Prepare a cluster; nothing runs before `start`.

        Args:
            lab: hosts that are on and whose Engines answer.
            schedulers: how many.
            etcds: members of the etcd cluster.
            agents: on how many of the lab's hosts; default is on all.
            lease_ttl_s: of the leader's lease.
            etcd_flags: more flags of every member, such as a small quota.
            scheduler_flags: more flags of every scheduler.
            agent_flags: more flags by host name, such as labels.
        """
        self.lab = lab
        self.folder = lab.work_dir / f"c{next(_numbers)}"
        self.folder.mkdir()
        self._authority: Authority = create_authority(
            self.folder / "tls", clock=_CLOCK, entropy=_ENTROPY
        )
        self.key_file = self.folder / "sealing.key"
        create_key_file(self.key_file, _ENTROPY)
        self.tls = self.certificate(Role.CLIENT, "operator")
        self.lease_ttl_s = lease_ttl_s
        self.etcds = self._make_etcds(etcds, etcd_flags)
        self.schedulers = self._make_schedulers(schedulers, scheduler_flags)
        wanted = lab.hosts if agents is None else lab.hosts[:agents]
        self.agents = [
            self._make_agent(host, (agent_flags or {}).get(host.name, ())) for host in wanted
        ]
        self.control = ControlClient(self.schedulers, self.tls)
        self.berth = BerthCli(self._cli_environment)

    def certificate(
        self, role: Role, name: str, *addresses: str, user_role: UserRole | None = None
    ) -> TlsSettings:
        """Issue one more certificate of this cluster's authority."""
        return issue(
            self._authority,
            role,
            name,
            addresses,
            self.folder / "tls",
            clock=_CLOCK,
            entropy=_ENTROPY,
            user_role=user_role,
        )

    def _make_etcds(self, count: int, flags: Sequence[str]) -> list[EtcdMember]:
        program = find_etcd()
        places: list[EtcdPlace] = []
        members = []
        for number in range(1, count + 1):
            name = f"etcd-{number}"
            urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
            place = EtcdPlace(name, self.folder / name, urls[0], urls[1])
            places.append(place)
            log_path = self.folder / f"{name}.log"
            members.append(
                EtcdMember(
                    place,
                    program,
                    lambda: tuple(places),
                    flags=flags,
                    processes=self.lab.processes,
                    log_path=log_path,
                )
            )
        return members

    def _make_schedulers(self, count: int, flags: Sequence[str]) -> list[SchedulerProgram]:
        ip = self.lab.network.address
        made = []
        for number in range(1, count + 1):
            name = f"scheduler-{number}"
            made.append(
                SchedulerProgram(
                    name,
                    grpc_address=f"{ip}:{free_port(ip)}",
                    http_address=f"{ip}:{free_port(ip)}",
                    docker_socket=self.folder / f"{name}.sock",
                    etcd_urls=[member.url for member in self.etcds],
                    tls=self.certificate(Role.SCHEDULER, name, ip),
                    flags=[
                        f"--key-file={self.key_file}",
                        f"--insecure-registry={self.lab.network.subnet}",
                        *flags,
                    ],
                    env={"BERTH_ETCD_LEASE_TTL_S": str(self.lease_ttl_s)},
                    processes=self.lab.processes,
                    log_path=self.folder / f"{name}.log",
                )
            )
        return made

    def _make_agent(self, host: Host, flags: Sequence[str]) -> AgentProgram:
        return AgentProgram(
            host,
            schedulers=[scheduler.grpc_address for scheduler in self.schedulers],
            http_port=_AGENT_HTTP_PORT,
            state_dir=self.folder / f"agent-{host.name}",
            files_dir=memory_folder(self.lab.work_dir) / self.folder.name / host.name,
            tls=self.certificate(Role.AGENT, host.name, host.address),
            flags=flags,
            env={},
            log_path=self.folder / f"agent-{host.name}.log",
        )

    def _cli_environment(self) -> dict[str, str]:
        addresses = [scheduler.grpc_address for scheduler in self.schedulers]
        return {
            "BERTH_SCHEDULER": ",".join(addresses),
            "BERTH_TLS_CA_FILE": str(self.tls.ca_file),
            "BERTH_TLS_CERT_FILE": str(self.tls.cert_file),
            "BERTH_TLS_KEY_FILE": str(self.tls.key_file),
            "HOME": str(self.folder),  # No context of the user's own may matter.
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "COLUMNS": "160",
            "NO_COLOR": "1",
        }

    # --- Life

    @property
    def programs(self) -> list[Program]:
        """All programs, in the order in which they are started."""
        return [*self.etcds, *self.schedulers, *self.agents]

    def start(self) -> None:
        """Start everything, and wait until a leader leads and all nodes are ready."""
        for program in self.programs:
            program.start()
        self.wait_leader()
        self.wait_nodes(len(self.agents))

    def close(self) -> None:
        """End every program that still runs, agents first: their containers stay."""
        self.control.close()
        for program in reversed(self.programs):
            if program.is_running:
                program.resume()
                program.kill()

    def heal(self) -> None:
        """Bring every program back to running, and remove all services.

        Hosts must be on and linked (`lab.heal`, `power_on`).
        """
        for program in self.programs:
            if program.is_running:
                program.resume()
            else:
                program.start()
        self.wait_leader()
        self.wait_nodes(len(self.agents))
        for scheduler in self.schedulers:
            self.wait_until(f"{scheduler.name} takes docker's commands", scheduler.takes_docker)
        self.remove_services()

    def remove_services(self) -> None:
        """Remove every service, and wait until none and no task is left."""

        def claim() -> bool:
            self.control.remove_all_services()
            return not self.control.services() and not self.control.tasks(only_wanted=False)

        self.wait_until("no service and no task is left", claim, 120.0)

    # --- Who is who

    def scheduler(self, name: str) -> SchedulerProgram:
        """Return the scheduler of that name."""
        return next(each for each in self.schedulers if each.name == name)

    def agent(self, name: str) -> AgentProgram:
        """Return the agent of the node (host) of that name."""
        return next(each for each in self.agents if each.name == name)

    def leader(self) -> SchedulerProgram:
        """Return the scheduler that leads now; NotYetError when none is known to."""
        name = self.control.cluster().leader_name
        if not name:
            raise NotYetError("no scheduler leads")
        return self.scheduler(name)

    def standbys(self) -> list[SchedulerProgram]:
        """Return the schedulers that do not lead."""
        leader = self.leader()
        return [each for each in self.schedulers if each is not leader]

    # --- Hurting whole machines

    def power_off(self, name: str) -> AgentProgram:
        """Pull the plug of a host: its link, agent, Engine and containers end at once."""
        agent = self.agent(name)
        agent.host.power_off()
        shutil.rmtree(agent.files_dir, ignore_errors=True)  # It is memory.
        return agent

    def power_on(self, name: str) -> AgentProgram:
        """Switch a host on again: Engine, then agent, as its units would."""
        agent = self.agent(name)
        agent.host.power_on()
        agent.start()
        return agent

    # --- Waiting

    def describe(self) -> str:
        """Return the state of the cluster and the ends of all logs, for a failure."""
        return describe_cluster(self.programs, self.control)

    def wait_until(
        self, what: str, claim: Callable[[], T], timeout_s: float = 60.0, every_s: float = 0.1
    ) -> T:
        """Wait until `claim` returns something true; a failure shows the whole cluster."""
        return wait_until(what, claim, timeout_s, every_s=every_s, describe=self.describe)

    def wait_leader(
        self, timeout_s: float = 60.0, *, other_than: SchedulerProgram | None = None
    ) -> SchedulerProgram:
        """Wait until a scheduler that can answer leads; return it.

        Args:
            timeout_s: how long at most.
            other_than: who must not be the leader, having been killed or frozen.
        """

        def claim() -> SchedulerProgram:
            leader = self.leader()
            if leader is other_than or not leader.answers:
                raise NotYetError(f"{leader!r} is taken for the leader")
            return leader

        return self.wait_until("a scheduler leads", claim, timeout_s)

    def wait_nodes(self, ready: int, timeout_s: float = 60.0) -> list[pb.NodeView]:
        """Wait until exactly `ready` nodes are ready; return all nodes."""

        def claim() -> list[pb.NodeView]:
            views = self.control.nodes()
            states = {view.node.description.hostname: view.node.state for view in views}
            if list(states.values()).count("ready") != ready:
                raise NotYetError(f"nodes are {states}")
            return views

        return self.wait_until(f"{ready} nodes are ready", claim, timeout_s)

    def wait_node(self, name: str, state: str, timeout_s: float = 60.0) -> pb.NodeView:
        """Wait until node `name` is in `state` ("ready", "down" ...)."""

        def claim() -> pb.NodeView:
            view = self.control.node(name)
            if view.node.state != state:
                raise NotYetError(f"it is {view.node.state}: {view.node.message}")
            return view

        return self.wait_until(f"node {name} is {state}", claim, timeout_s)

    def running_tasks(self, service: str) -> list[pb.Task]:
        """Return the tasks of `service` that run and should."""
        return [
            task
            for task in self.control.tasks(service)
            if task.status.state == TaskState.RUNNING and task.desired == TaskState.RUNNING
        ]

    def wait_running(
        self, service: str, count: int, timeout_s: float = 60.0, *, template: int | None = None
    ) -> list[pb.Task]:
        """Wait until exactly `count` tasks of `service` run, and none else is wanted.

        Args:
            service: its name.
            count: how many.
            timeout_s: how long at most.
            template: all of them of this template version.
        """

        def claim() -> list[pb.Task]:
            running = self.running_tasks(service)
            wanted = [
                task for task in self.control.tasks(service) if task.desired <= TaskState.COMPLETE
            ]
            old = [task for task in running if template not in (None, task.template_version)]
            if len(running) != count or len(wanted) != count or old:
                raise NotYetError("\n".join(map(describe_task, self.control.tasks(service))))
            return running

        return self.wait_until(f"{count} tasks of {service} run", claim, timeout_s)

    def wait_update(self, service: str, *states: str, timeout_s: float = 90.0) -> pb.Service:
        """Wait until the update of `service` is in one of `states` ("completed" ...)."""

        def claim() -> pb.Service:
            found = self.control.service(service)
            if found.update_status.state not in states:
                raise NotYetError(f"{found.update_status.state}: {found.update_status.message}")
            return found

        return self.wait_until(
            f"the update of {service} is {' or '.join(states)}", claim, timeout_s
        )

    # --- What Engines say, whatever Berth believes

    def containers(
        self, service: str = "", *, running_only: bool = True
    ) -> list[tuple[Host, dict[str, Any]]]:
        """List the containers of Berth on all hosts that are on: (host, what inspect says).

        One that is removed while this looks is left out.
        """
        found = []
        for host in self.lab.hosts:
            if not host.is_on or not host.engine.is_running:
                continue
            label = "com.docker.swarm.service.name"
            wanted = f"{label}={service}" if service else label
            with contextlib.closing(host.engine.client()) as client:
                for each in client.api.containers(
                    all=not running_only, quiet=True, filters={"label": wanted}
                ):
                    with contextlib.suppress(docker.errors.NotFound):
                        found.append((host, client.api.inspect_container(each["Id"])))
        return found

    def container_starts(self, service: str) -> dict[str, str]:
        """Return when each container was started, by ID: equal twice = nothing was restarted."""
        return {each["Id"]: each["State"]["StartedAt"] for _, each in self.containers(service)}


@contextlib.contextmanager
def running_cluster(lab: Lab, **settings: Any) -> Iterator[TestCluster]:
    """Run a cluster (see TestCluster) that is ready, as long as the `with` block."""
    cluster = TestCluster(lab, **settings)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
