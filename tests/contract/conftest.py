"""Backends of the contract suites: the model and a real etcd, behind one way to connect."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import pytest

from berth.clock import SystemClock
from scheduler.store.etcd_api import EtcdApi
from tests.contract.etcd_process import EtcdCluster, etcd_client, etcd_cluster
from tests.fakes.fake_store import ModelClient
from tests.fakes.model_etcd import ModelEtcd

_prefixes = itertools.count(1)


class Backend(Protocol):
    """Something that a store and an election can be opened on."""

    def connect(self) -> AbstractAsyncContextManager[EtcdApi]:
        """Open one scheduler's connection."""
        ...


class ModelBackend:
    """A model etcd, made by the first connection within the test's event loop."""

    def __init__(self) -> None:
        self._model: ModelEtcd | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[EtcdApi]:
        clock = SystemClock()
        self._model = self._model or ModelEtcd(clock)
        yield ModelClient(self._model, clock)


class RealBackend:
    """A running etcd."""

    def __init__(self, cluster: EtcdCluster) -> None:
        self._cluster = cluster

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[EtcdApi]:
        async with etcd_client(self._cluster) as client:
            yield client


@pytest.fixture(scope="session")
def one_etcd() -> Iterator[EtcdCluster]:
    """A single etcd for the whole run; tests keep apart by their prefixes and hurt nobody."""
    with etcd_cluster() as cluster:
        yield cluster


@pytest.fixture(params=["model", pytest.param("etcd", marks=pytest.mark.etcd)])
def backend(request: pytest.FixtureRequest) -> Backend:
    """The model, then the real thing."""
    if request.param == "model":
        return ModelBackend()
    return RealBackend(request.getfixturevalue("one_etcd"))


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"/berth-test-{next(_prefixes)}/"
