"""Bridges that stand for the cluster's networks on one Engine: made on demand, removed unused.

Duty: find or make a bridge before a container joins it; join further ones; remove bridges without
users. Not here: what a bridge is called and who joins it (networks), containers (docker_engine).

Several agents may share an Engine (`berth up`), and then share its bridges, so that a bridge bears
its cluster's label and not a node's.
Invariants (tests/contract/test_docker_networks.py): only bridges with Berth's labels are removed,
and none that a container, running or not, was made for; two that make the same bridge at once end
up with one.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import docker.errors
import structlog

from nodeagent.runtime.docker_errors import call_error, is_conflict, is_not_found
from nodeagent.runtime.engine_pool import EnginePool
from nodeagent.runtime.networks import (
    LABEL_NETWORK,
    LABEL_NETWORKS,
    JoinedNetwork,
    bridge_body,
    endpoint_config,
    joined,
    joined_names,
    spec_of,
    wanted_networks,
)
from nodeagent.runtime.port import RuntimeCallError, RuntimeTask

_log = structlog.get_logger(__name__)

_FORBIDDEN: Final = 403  # How Engines say "it has users", and "it has joined already".


class DockerNetworks:
    """The bridges of one Engine."""

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._held: Counter[str] = Counter()
        """By bridge: containers that are being made for it and bear no label yet."""

    @contextlib.asynccontextmanager
    async def held(self, task: RuntimeTask) -> AsyncIterator[tuple[JoinedNetwork, ...]]:
        """Find or make the bridges that a task joins; none of them goes while the block runs.

        Raises:
            RuntimeCallError: the Engine refuses to make one.
        """
        held: list[JoinedNetwork] = []
        try:
            for wanted in wanted_networks(task):
                async with self._locks[wanted.target]:
                    engine_id = await self._find_or_make(task, wanted.target)
                    held.append(joined(task, wanted, engine_id))
                    self._held[engine_id] += 1
            yield tuple(held)
        finally:
            for network in held:
                self._held[network.engine_id] -= 1
                if not self._held[network.engine_id]:
                    del self._held[network.engine_id]  # Bridges come and go for years.

    async def join(self, container_id: str, networks: Iterable[JoinedNetwork]) -> None:
        """Connect a container to further bridges; harmless where it is connected already."""
        for network in networks:
            what = f"connect container {container_id[:12]} to network {network.name}"
            body = {"Container": container_id, "EndpointConfig": endpoint_config(network)}
            try:
                await self._post(f"/networks/{network.engine_id}/connect", body, what)
            except docker.errors.APIError as error:
                if error.status_code != _FORBIDDEN:
                    raise call_error(what, error, is_final=True) from error

    async def remove_unused(self, cluster_id: str) -> int:
        """Remove the cluster's bridges that no container was made for; return how many."""
        removed = 0
        for network in await self._list([f"berth.cluster={cluster_id}", LABEL_NETWORK]):
            removed += await self._release(network["Labels"][LABEL_NETWORK], network["Id"])
        return removed

    async def release(self, labels: dict[str, str]) -> None:
        """Remove the bridges of a container that is gone, unless others use them.

        A bridge that cannot be removed now is left to `remove_unused`.
        """
        for engine_id, name in joined_names(labels).items():
            try:
                await self._release(name, engine_id)
            except RuntimeCallError as error:
                _log.warning("bridge_stays", network=name, why=error.message)

    async def _release(self, name: str, engine_id: str) -> bool:
        async with self._locks[name]:
            if self._held[engine_id] > 0 or engine_id in await self._in_use():
                return False
            try:
                await self._pool.call(
                    "remove_network",
                    f"remove network {name}",
                    lambda client: client.remove_network(engine_id),
                    raises_raw=True,
                )
            except docker.errors.APIError as error:
                if is_not_found(error) or error.status_code == _FORBIDDEN:
                    return False  # Gone already, or a container of somebody else has joined it.
                raise call_error(f"remove network {name}", error, is_final=False) from error
            _log.info("bridge_removed", network=name)
            return True

    async def _in_use(self) -> set[str]:
        """Return the bridges that containers, running or not, were made for."""
        containers: list[dict[str, Any]] = await self._pool.call(
            "list_containers",
            "list containers of networks",
            lambda client: client.containers(all=True, filters={"label": [LABEL_NETWORKS]}),
        )
        return {key for each in containers for key in joined_names(each.get("Labels") or {})}

    async def _find_or_make(self, task: RuntimeTask, name: str) -> str:
        found = await self._find(task.cluster_id, name)
        if found:
            return found
        made = await self._make(task, name)
        # Another agent of this Engine may have made one in the same moment: all take the oldest.
        oldest = await self._find(task.cluster_id, name)
        if oldest and oldest != made:
            with contextlib.suppress(docker.errors.APIError):
                await self._pool.call(
                    "remove_network",
                    f"remove network {name}",
                    lambda client: client.remove_network(made),
                    raises_raw=True,
                )
            return oldest
        _log.info("bridge_made", network=name)
        return made

    async def _find(self, cluster_id: str, name: str) -> str:
        found = await self._list([f"berth.cluster={cluster_id}", f"{LABEL_NETWORK}={name}"])
        oldest = min(found, key=lambda each: (each["Created"], each["Id"]), default=None)
        return "" if oldest is None else str(oldest["Id"])

    async def _make(self, task: RuntimeTask, name: str) -> str:
        """Make a bridge of the network's name; of a longer one where somebody else's has it."""
        spec = spec_of(task, name)
        what = f"make the bridge of network {name}"
        try:
            try:
                return await self._create(bridge_body(name, spec, task.cluster_id), what)
            except docker.errors.APIError as error:
                if not is_conflict(error):
                    raise
                longer = f"{name}.{task.cluster_id[:12]}"
                return await self._create(bridge_body(longer, spec, task.cluster_id), what)
        except docker.errors.APIError as error:
            raise call_error(what, error, is_final=True) from error

    async def _create(self, body: dict[str, Any], what: str) -> str:
        answer = await self._post("/networks/create", body, what)
        return str(answer["Id"])

    async def _list(self, labels: list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._pool.call(
            "list_networks",
            "list networks",
            lambda client: client.networks(filters={"label": labels}),
        )
        return found

    async def _post(self, path: str, body: dict[str, Any], what: str) -> dict[str, Any]:
        """Make a call in the Engine's own words; what it answers to it is raised as it is."""

        def post(client: Any) -> dict[str, Any]:
            response = client._post_json(client._url(path), data=body)
            client._raise_for_status(response)
            return dict(response.json()) if response.content else {}

        name = "create_network" if path.endswith("/create") else "connect_network"
        return await self._pool.call(name, what, post, raises_raw=True)
