"""Certificates towards etcd: refused where broken, exchanged whole."""

import asyncio

import pytest

from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.errors import ConfigError
from berth.wire.tls import Role
from scheduler.store.etcd_client import EtcdClient
from scheduler.store.etcd_settings import EtcdSettings, tls_content

PORTS = {"clock": SystemClock(), "entropy": SystemEntropy()}


@pytest.fixture
def settings(tmp_path):
    files = issue(create_authority(tmp_path, **PORTS), Role.CLIENT, "etcd", [], tmp_path, **PORTS)
    return EtcdSettings(
        ("https://127.0.0.1:1",),
        ca_file=str(files.ca_file),
        cert_file=str(files.cert_file),
        key_file=str(files.key_file),
    )


def exchanged(settings, tmp_path, *, renewed):
    """Return whether a reload made another channel to the member."""

    async def main():
        client = EtcdClient(settings, PORTS["clock"])
        (member,) = client.endpoints
        before = member.channel
        if renewed:
            (tmp_path / "etcd.crt").write_text((tmp_path / "ca.crt").read_text())
        client.prepare_tls(settings)()
        await client.aclose()
        return member.channel is not before

    return asyncio.run(main())


@pytest.mark.parametrize("renewed", [True, False])
def test_connections_are_made_anew_if_something_was_renewed(settings, tmp_path, renewed):
    assert exchanged(settings, tmp_path, renewed=renewed) is renewed


def test_a_file_that_is_no_pem_is_named(settings, tmp_path):
    (tmp_path / "etcd.key").write_text("broken")
    with pytest.raises(ConfigError, match=r"etcd\.key_file.*cannot be used"):
        tls_content(settings)


def test_without_tls_there_is_nothing_to_read():
    assert tls_content(EtcdSettings(("a:1",))) is None


def test_tls_is_not_switched_off_by_a_reload(settings):
    async def main():
        client = EtcdClient(settings, PORTS["clock"])
        try:
            with pytest.raises(ConfigError, match="restart"):
                client.prepare_tls(EtcdSettings(("127.0.0.1:1",)))
        finally:
            await client.aclose()

    asyncio.run(main())
