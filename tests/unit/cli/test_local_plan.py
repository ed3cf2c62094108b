"""What a local cluster's programs are told."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.errors import InvalidRequestError, UnavailableError
from berth.wire.tls import TlsSettings
from cli import local_plan
from cli.local_engine import EngineFacts
from cli.local_etcd import EtcdProgram
from cli.local_plan import PortPicker, UpSettings
from cli.local_record import Folders, ProcessRecord

FACTS = EngineFacts("20.10", cpus=4, memory_bytes=8 << 30)


FILES = str(Folders(Path("/w")).task_files)


def certificates(name: str) -> TlsSettings:
    folder = Path("/tls")
    return TlsSettings(folder / "ca.crt", folder / f"{name}.crt", folder / f"{name}.key")


def everything(settings: UpSettings, ports: PortPicker) -> list[ProcessRecord]:
    folders = Folders(Path("/w"))
    etcd = local_plan.plan_etcd(folders, EtcdProgram("/bin/etcd", (3, 5, 30)), ports)
    urls = [local_plan.etcd_url(etcd)]
    schedulers = local_plan.plan_schedulers(folders, settings, urls, certificates, ports)
    addresses = list(map(local_plan.grpc_address, schedulers))
    agents = local_plan.plan_agents(
        folders, settings, "unix:///d.sock", FACTS, addresses, certificates, ports
    )
    return [etcd, *schedulers, *agents]


def listening_ports(records: list[ProcessRecord]) -> list[int]:
    flags = [part for record in records for part in record.argv if "-listen" in part.split("=")[0]]
    assert all("127.0.0.1" in flag for flag in flags)
    return [int(flag.rpartition(":")[2]) for flag in flags]


def value(record: ProcessRecord, flag: str) -> str:
    return next(part for part in record.argv if part.startswith(f"{flag}=")).partition("=")[2]


@pytest.mark.parametrize(
    "taken",
    [
        pytest.param(set(), id="all ports are free"),
        pytest.param({7701, 7702, 7703, 2379, 2380}, id="the default ports are taken"),
    ],
)
def test_no_two_programs_listen_on_one_port(taken: set[int]) -> None:
    records = everything(UpSettings(), PortPicker(lambda port: port not in taken))
    ports = listening_ports(records)
    assert len(ports) == len(set(ports)) == 2 + 3 * 2 + 3
    assert not taken.intersection(ports)


def test_the_first_of_each_kind_has_the_default_ports() -> None:
    records = {
        record.name: record for record in everything(UpSettings(), PortPicker(lambda _: True))
    }
    assert value(records["scheduler-1"], "--grpc-listen") == "127.0.0.1:7701"
    assert value(records["scheduler-1"], "--http-listen") == "127.0.0.1:7702"
    assert value(records["node-1"], "--http-listen") == "127.0.0.1:7703"


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    picker = PortPicker()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert picker.pick(taken) > taken


def test_without_a_free_port_it_says_so() -> None:
    with pytest.raises(UnavailableError, match="no port from 65000 on"):
        PortPicker(lambda _: False).pick(65000)


def test_every_agent_knows_every_scheduler_and_has_an_identity_of_its_own() -> None:
    records = everything(UpSettings(schedulers=2, agents=2), PortPicker(lambda _: True))
    agents = [record for record in records if record.kind == "agent"]
    assert {value(agent, "--scheduler") for agent in agents} == {"127.0.0.1:7701,127.0.0.1:7711"}
    assert {value(agent, "--files-dir") for agent in agents} == {FILES}
    assert FILES.startswith("/dev/shm/berth-")
    assert [value(agent, "--state-dir") for agent in agents] == [
        "/w/agents/node-1",
        "/w/agents/node-2",
    ]
    assert [value(agent, "--tls-cert-file") for agent in agents] == [
        "/tls/node-1.crt",
        "/tls/node-2.crt",
    ]


def test_the_prefix_and_registries_reach_the_schedulers() -> None:
    settings = UpSettings(schedulers=1, etcd_prefix="/mine/", insecure_registries=("r:5000",))
    scheduler = everything(settings, PortPicker(lambda _: True))[1]
    assert "--etcd-prefix=/mine/" in scheduler.argv
    assert "--insecure-registry=r:5000" in scheduler.argv


def test_the_docker_command_is_told_of_a_socket_or_where_none_fits_of_a_port() -> None:
    records = everything(UpSettings(), PortPicker(lambda _: True))[1:4]
    assert local_plan.docker_host(records) == "unix:///w/run/scheduler-1.sock"
    assert value(records[2], "--docker-socket") == "/w/run/scheduler-3.sock"
    deep = Folders(Path("/" + "w" * 120))
    records = local_plan.plan_schedulers(
        deep, UpSettings(), ["http://e:2379"], certificates, PortPicker(lambda _: True)
    )
    assert local_plan.docker_host(records) == "tcp://127.0.0.1:7702"


@given(cpus=st.integers(1, 512), memory=st.integers(1 << 20, 1 << 42), nodes=st.integers(1, 50))
def test_the_shares_never_exceed_the_machine(cpus: int, memory: int, nodes: int) -> None:
    nano_cpus, memory_bytes = local_plan.share(EngineFacts("", cpus, memory), nodes)
    assert 0 < nano_cpus * nodes <= cpus * 10**9
    assert 0 < memory_bytes * nodes <= memory


@pytest.mark.parametrize(
    "wrong", [UpSettings(schedulers=0), UpSettings(schedulers=10), UpSettings(agents=0)]
)
def test_numbers_out_of_range_are_refused(wrong: UpSettings) -> None:
    with pytest.raises(InvalidRequestError, match="is not within 1"):
        wrong.validate()
